// argv → one command.

console.error('evergate: no command yet');
process.exitCode = 2;
