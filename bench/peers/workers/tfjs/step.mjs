export function openStep() {
  throw new Error('not written yet');
}
