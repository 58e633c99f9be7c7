/**
 * Names with the same key are one file on some file system: macOS and Windows do not tell `Cat.png` from
 * `cat.png`, and macOS not `é` as one letter from `e` with an accent behind it.
 */
export function nameKey(name: string): string {
  return [...name.normalize('NFC')].map(foldCase).join('');
}

/** Letters are compared one by one: no file system takes `ß` for `ss`. */
function foldCase(letter: string): string {
  const upper = letter.toUpperCase();
  return (upper.length === letter.length ? upper : letter).toLowerCase();
}
