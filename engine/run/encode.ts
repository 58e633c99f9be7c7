import type { Launch } from '../record/recorder.ts';

/** A launch with everything a replay needs; running it allocates nothing. */
export interface Step {
  readonly launch: Launch;
  /** Null where the launch is copies. */
  readonly dispatch: { readonly pipeline: GPUComputePipeline; readonly bindGroup: GPUBindGroup } | null;
  readonly copies: readonly TextureCopy[];
}

/** A copy by the queue, of a buffer into a texture. */
export interface TextureCopy {
  readonly source: GPUTexelCopyBufferInfo;
  readonly destination: GPUTexelCopyTextureInfo;
  readonly size: readonly [width: number, height: number, layers: number];
}

/** Notes the time at the begin and the end of what `encode` does, in passes of their own. */
function encodeNoted(
  encoder: GPUCommandEncoder,
  steps: readonly Step[],
  { querySet, beginningOfPassWriteIndex, endOfPassWriteIndex }: GPUComputePassTimestampWrites,
): void {
  if (beginningOfPassWriteIndex !== undefined) {
    encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex } }).end();
  }
  encode(encoder, steps);
  if (endOfPassWriteIndex !== undefined) {
    encoder.beginComputePass({ timestampWrites: { querySet, endOfPassWriteIndex } }).end();
  }
}

/** Encodes steps in one compute pass, or several where copies come between them. */
export function encode(
  encoder: GPUCommandEncoder,
  steps: readonly Step[],
  stamps?: GPUComputePassTimestampWrites,
): void {
  if (stamps && steps.some(({ copies }) => copies.length > 0)) {
    encodeNoted(encoder, steps, stamps);
    return;
  }
  let pass: GPUComputePassEncoder | null = null;
  let set: GPUComputePipeline | null = null;
  for (const { launch: item, dispatch, copies } of steps) {
    if (!dispatch) {
      pass?.end();
      pass = null;
      for (const { source, destination, size } of copies) {
        encoder.copyBufferToTexture(source, destination, size);
      }
      continue;
    }
    if (!pass) {
      pass = encoder.beginComputePass(stamps ? { timestampWrites: stamps } : {});
      set = null;
    }
    if (set !== dispatch.pipeline) pass.setPipeline(dispatch.pipeline);
    set = dispatch.pipeline;
    pass.setBindGroup(0, dispatch.bindGroup);
    pass.dispatchWorkgroups(item.grid[0], item.grid[1], item.grid[2]);
  }
  pass?.end();
}
