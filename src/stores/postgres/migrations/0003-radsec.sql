-- RADIUS over TLS: what a router's certificate calls it, where that is not the router's own name.

alter table access.routers
  -- A DNS name in lower case, or an IP address; in the subjectAltName of the certificate.
  add column radsec_identity text unique;
