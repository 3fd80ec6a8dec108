// Stops the tests with one clear sentence on a Node that cannot run the project.

if (Number(process.versions.node.split('.')[0]) < 24) {
  throw new Error(
    `Evergate needs Node.js 24; this is ${process.version}. Use 'npm test' after 'npm ci'.`,
  );
}
