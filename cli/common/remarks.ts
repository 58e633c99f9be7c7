/**
 * Two lines that Dawn writes to standard error whenever it looks for adapters on some drivers (Mesa's). They
 * concern nothing that adawn uses, and Dawn has no switch for them.
 */
const REMARK =
  /^Warning: maxDynamic(?:Uniform|Storage)BuffersPerPipelineLayout artificially reduced from \d+ to .*\n/gm;
const BEGIN = 'Warning: maxDynamic';

/** A part of a line waits this long (milliseconds) for the rest; whoever writes these writes them whole. */
const PATIENCE_MS = 100;

/** Takes bytes and passes them on as they come, without those lines; `end` passes on what is held back. */
export function withoutRemarks(pass: (text: string) => void): {
  write(chunk: Uint8Array): void;
  end(): void;
} {
  const decoder = new TextDecoder();
  let held = '';
  let timer: NodeJS.Timeout | undefined;
  const mayBecome = (line: string) => line.startsWith(BEGIN) || (line !== '' && BEGIN.startsWith(line));
  const end = () => {
    clearTimeout(timer);
    if (held) pass(held);
    held = '';
  };
  return {
    write(chunk) {
      clearTimeout(timer);
      const text = (held + decoder.decode(chunk, { stream: true })).replace(REMARK, '');
      const last = text.lastIndexOf('\n') + 1;
      held = mayBecome(text.slice(last)) ? text.slice(last) : '';
      if (held) timer = setTimeout(end, PATIENCE_MS);
      const now = text.slice(0, text.length - held.length);
      if (now) pass(now);
    },
    end,
  };
}
