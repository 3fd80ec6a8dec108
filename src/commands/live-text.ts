// Text that is rewritten in place on a terminal; elsewhere only its last version is printed.

export type LiveText = { show(text: string): void; finish(text: string): void };

export function createLiveText(out: NodeJS.WriteStream = process.stdout): LiveText {
  let shownLines = 0;
  const rewrite = (text: string) => {
    // Up to the first line of what is there, and clear from it to the end of the screen.
    const back = shownLines === 0 ? '' : `\u001B[${shownLines}A\u001B[J`;
    out.write(`${back}${text}\n`);
    shownLines = text.split('\n').length;
  };
  return {
    show: (text) => {
      if (out.isTTY) rewrite(text);
    },
    finish: rewrite,
  };
}
