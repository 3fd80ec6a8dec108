// The certificates of simulated logins, made once with protocols/x509/create.ts: a world must be the same in
// every process, and ECDSA, with which the authorities have signed, draws chance of OpenSSL's own. The keys are
// Ed25519, which signs the same text the same way. They are valid for a year from the beginning of the world.

import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { parseCertificate } from '../../src/protocols/x509/certificate.ts';
import type { Certificate } from '../../src/protocols/x509/certificate.ts';

type Name = 'root' | 'server' | 'alice' | 'nobody' | 'stranger';

export function certificateOf(name: Name): Certificate {
  const certificate = parseCertificate(Buffer.from(DER[name], 'base64'));
  if (certificate === undefined) throw new Error(`the certificate of ${name} cannot be read`);
  return certificate;
}

/** As server and client show themselves. */
export function identityOf(name: Exclude<Name, 'root'>): {
  chain: readonly Buffer[];
  privateKey: KeyObject;
} {
  const key = Buffer.concat([PKCS8_OF_ED25519, Buffer.alloc(32, name)]);
  const privateKey = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  return { chain: [certificateOf(name).der], privateKey };
}

const PKCS8_OF_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** `nobody`: a valid one of no subscriber. `stranger`: calls itself alice, and the root does not know it. */
const DER: Record<Name, string> = {
  root: `
    MIIBgzCCASigAwIBAgIQcm9vdHJvb3Ryb290cm9vdDAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARSb290MB4XDTI2MTEyMD
    ExMDAwMFoXDTI3MTEyMDEyMDAwMFowDzENMAsGA1UEAwwEUm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABD4/1yAq
    VyphpkJHmtl1yhsp3GZqh24CXoM37pcm1uzkfR+4pTeCQqEQ53/3Ll57bu/mc123leql/jepUWBe9MSjZjBkMBIGA1UdEw
    EB/wQIMAYBAf8CAQAwDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBRjkt1IncnWRdV6esJoTHG1ZlogxzAfBgNVHSMEGDAW
    gBRjkt1IncnWRdV6esJoTHG1ZlogxzAKBggqhkjOPQQDAgNJADBGAiEAxjnhbi0zLQJAdHN2Rdkxe5aQ2k8mUvaf4OgFAL
    clF8YCIQDA4TdbWjC4eNzpnScqiCDo1IHUjMNQg08c/xFKtSlCCA==`,
  server: `
    MIIBcDCCARagAwIBAgIQc2VydmVyc2VydmVyc2VydjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARSb290MB4XDTI2MTEyMD
    ExMDAwMFoXDTI3MTEyMDEyMDAwMFowHTEbMBkGA1UEAwwScmFkaXVzLmV4YW1wbGUub3JnMCowBQYDK2VwAyEA7M6DixYc
    jAckvwwHG/SgJI9dfXrBn1HbpgmQAHnyucCjdTBzMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQMMA
    oGCCsGAQUFBwMBMB0GA1UdDgQWBBQ4aUfjssxJtwTyEYcwEEVvsdqf3DAfBgNVHSMEGDAWgBRjkt1IncnWRdV6esJoTHG1
    ZlogxzAKBggqhkjOPQQDAgNIADBFAiBz7tOVa28he1TitHEir4hqBERKD12r2kk+aNXapZyfEAIhAMb+b5lDZ78tnP+pIF
    wur5r9PcZBB4uc1uCWrbrnFKd+`,
  alice: `
    MIIBZDCCAQmgAwIBAgIQYWxpY2VhbGljZWFsaWNlYTAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARSb290MB4XDTI2MTEyMD
    ExMDAwMFoXDTI3MTEyMDEyMDAwMFowEDEOMAwGA1UEAwwFYWxpY2UwKjAFBgMrZXADIQDWcPcu/ZR1tiJ1+udz619esf6k
    8qCIDm0hmDJzv5Wgr6N1MHMwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQ
    YDVR0OBBYEFDkSsJxM1gSQaF5bQWCrEtfqZOtTMB8GA1UdIwQYMBaAFGOS3UidydZF1Xp6wmhMcbVmWiDHMAoGCCqGSM49
    BAMCA0kAMEYCIQCoNzQY3rbLPtsy9SvjFBqJGagE0/XRmQxIeA/lDRXXCwIhANkTwTuK1VazGWu1XX/Fj9J4uTIudCmbTC
    Aapd8tI12I`,
  nobody: `
    MIIBZTCCAQqgAwIBAgIQbm9ib2R5bm9ib2R5bm9ibzAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARSb290MB4XDTI2MTEyMD
    ExMDAwMFoXDTI3MTEyMDEyMDAwMFowETEPMA0GA1UEAwwGbm9ib2R5MCowBQYDK2VwAyEAcLnvrLss5pwuG32fEdiJBPei
    idXuRPI0ZQARxcSA/zqjdTBzMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMCMB
    0GA1UdDgQWBBRSu6/UFLYotG6d/1d4T31RyYQFFjAfBgNVHSMEGDAWgBRjkt1IncnWRdV6esJoTHG1ZlogxzAKBggqhkjO
    PQQDAgNJADBGAiEAggMXKsqOg+M59rtKPyAeDv8I4j/xt7KJHCYAN/6v2HwCIQC577di0E1wLfDQF5lzaHP0woEPleU9Vo
    2bpokSBAwuXA==`,
  stranger: `
    MIIBaTCCAQ+gAwIBAgIQc3RyYW5nZXJzdHJhbmdlcjAKBggqhkjOPQQDAjAVMRMwEQYDVQQDDApPdGhlciBSb290MB4XDT
    I2MTEyMDExMDAwMFoXDTI3MTEyMDEyMDAwMFowEDEOMAwGA1UEAwwFYWxpY2UwKjAFBgMrZXADIQCeggFx/HvJIQ3jRzHQ
    2lceXeFFOT17RKUxjP+ZCaaNa6N1MHMwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQ
    UHAwIwHQYDVR0OBBYEFE5yznKIsPfHjrEvVU/6OiIlGynvMB8GA1UdIwQYMBaAFEa8nmfv8o/1cjWlDz9q9HdbMX+zMAoG
    CCqGSM49BAMCA0gAMEUCICeSJZ7jYGS3x6uZR8TXZBjtOGw9qnLqoQGIgqjSdwaqAiEA0GIqMED/MgmjibgJz4gWCOCblm
    xNZiUXyaHOdLaWVVY=`,
};
