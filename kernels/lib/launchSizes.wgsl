// The numbers of one launch, where one compiled kernel serves many layers. engine/device/launchSizes.ts puts
// the kernel's own constants in the place of NUMBER, and the kernel's next free binding in the place of 99.
struct LaunchSizes {
  NUMBER: u32,
}
@group(0) @binding(99) var<uniform> launch_sizes: LaunchSizes;
