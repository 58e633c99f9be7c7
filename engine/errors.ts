/** Base of every error this engine throws on purpose; its message is one sentence a user can act on. */
export class AdawnError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Shapes or options that do not fit together: names the op, what was found and what was needed. */
export class ShapeError extends AdawnError {}

/** WGSL that does not compile or a launch that does not fit its kernel: carries the numbered source. */
export class KernelError extends AdawnError {}

/** No adapter, a lost device, a limit exceeded, memory exhausted. */
export class DeviceError extends AdawnError {}

/** A checkpoint file that cannot be read, written or matched with a model. */
export class CheckpointError extends AdawnError {}
