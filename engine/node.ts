/** What of the engine needs Node: opening a device through Dawn, an adapter's memory, the tuner. */
export { adapterMemory } from './device/adapterMemory.node.ts';
export { type NodeOpenOptions, openDevice } from './device/device.node.ts';
export { adawnVersion, dawnVersion } from './device/versions.node.ts';
export { defaultMode, TUNE_MODES, type TuneMode, tuneFor, useTuned } from './measure/tuning.node.ts';
