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

/** No adapter, a lost device, or one that cannot do what is asked. */
export class DeviceError extends AdawnError {}

/**
 * More than the adapter holds: a limit exceeded, memory exhausted. Less would fit; who knows what the tensors
 * are for says what could be smaller.
 */
export class CapacityError extends DeviceError {}

/** A checkpoint file that cannot be read, written or matched with a model. */
export class CheckpointError extends AdawnError {}
