/**
 * adawn's engine: tensors on a WebGPU device, ops with gradients, and programs that are recorded once and
 * replayed. All that models, training and other people's code import; what lies behind it may change.
 * `node.ts` has what needs Node (opening a device, the tuner's cache). Shapes, units and errors are in the
 * docstring of each export; docs/engine.md goes through the stages of a program.
 */

// Devices: open one with `openDevice` of node.ts.
export {
  checkDevice,
  closeDevice,
  type Device,
  finish,
  memory,
  type Precision,
  type Variants,
  withinMemory,
} from './device/device.ts';
// Ops of one's own, and looking inside programs: docs/new-op.md.
export {
  addFlagsOf,
  type Constants,
  fullText,
  type KernelSpec,
  kernelKey,
  specialise,
} from './device/kernel.ts';
export { blankDevice, paperDevice } from './device/paper.ts';
export { PRECISIONS, usePrecision } from './device/precision.ts';
export {
  AdawnError,
  CapacityError,
  CheckpointError,
  DeviceError,
  KernelError,
  ShapeError,
} from './errors.ts';
// Gradients.
export { gradients, type VjpOptions, vjp } from './grad/autograd.ts';
export { checkpoint } from './grad/recompute.ts';
// Measuring: times of launches, what an adapter can do at most.
export {
  type Ceilings,
  computesRight,
  measureCeilings,
  rate,
  stampsAreSane,
} from './measure/ceilings.ts';
export { median, profileProgram, type Share, sharesOf } from './measure/profile.ts';
export {
  closeStopwatch,
  openStopwatch,
  race,
  type Stopwatch,
  type Timing,
  type TimingOptions,
} from './measure/timing.ts';
// Ops: called inside `record` or `evaluate`.
export { leakyRelu, relu, tanh } from './ops/activation.ts';
export { ADAM_HYPER, type AdamOptions, adamHyper, adamStep, clampRange, type Watch } from './ops/adam.ts';
export { add, addInto } from './ops/add.ts';
export { camPool } from './ops/cam/pool.ts';
export { type CamOptions, type CamWeights, cam, heatMap } from './ops/cam.ts';
export { type CamSpectra, camLogits } from './ops/camLogits.ts';
export { concat, copyInto, slice, split } from './ops/concat.ts';
export { chooseConv } from './ops/conv2d/choose.ts';
export { type ConvOptions, convSizes } from './ops/conv2d/sizes.ts';
export { type ConvVariant, variantName } from './ops/conv2d/variant.ts';
export { conv2d } from './ops/conv2d.ts';
export { fill, zeros } from './ops/fill.ts';
export { type LinearOptions, linear, splitRows } from './ops/linear.ts';
export {
  bceWithLogitsToConstant,
  l1Loss,
  mseToConstant,
  mseToConstantPair,
  type Target,
} from './ops/loss.ts';
export { adailn, iln, instanceNorm, type NormOptions } from './ops/norm.ts';
export { spectra, spectralNorm } from './ops/spectralNorm.ts';
export { scaleScalar, weightedSum } from './ops/weightedSum.ts';
export type { MemoryPlan } from './plan/plan.ts';
// Random numbers for initial weights: functions of a seed and a name.
export { normalStream, uniformStream } from './random.ts';
// Tensors and memory that lives on.
export { floats, scalar } from './record/constants.ts';
export { place, placeProblem } from './record/place.ts';
export {
  type Backward,
  constant,
  differentiable,
  grid1d,
  intermediate,
  type Launch,
  launch,
  nameOf,
  recorder,
  reshape,
  withRecorder,
} from './record/recorder.ts';
export { elements, type Shape, sameShape, show } from './record/shape.ts';
export type { SpectralLayer, Spectrum, Updates } from './record/spectrum.ts';
export {
  ALIGNMENT,
  allocate,
  bytesOf,
  type FlatBuffer,
  flatBuffer,
  flatRange,
  makeTensor,
  offsetInRoot,
  release,
  rootOf,
  storageOf,
  type Tensor,
  windowOf,
} from './record/tensor.ts';
export { UNDECIDED } from './record/undecided.ts';
export type { Step } from './run/encode.ts';
// Programs: recorded once, run often.
export { printLaunches, printPlan } from './run/print.ts';
export {
  dispose,
  type Program,
  type Recording,
  record,
  run,
  runInPortions,
  trace,
} from './run/program.ts';
export {
  beginRead,
  cancelRead,
  evaluate,
  finishRead,
  type Piece,
  type Reading,
  read,
  tensorFrom,
  upload,
} from './run/transfer.ts';
