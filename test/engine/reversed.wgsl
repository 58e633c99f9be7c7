// What reversed.ts puts in an entry point's place: NAME, SIZES and ARGUMENTS are those of the kernel, whose
// code goes on as body_of_NAME. TOGETHER: lanes that stay in order, the subgroup of a processor, since
// kernels there hand numbers from lane to lane.
@compute @workgroup_size(SIZES)
fn NAME(
  @builtin(workgroup_id) given_group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) given: u32,
) {
  let size = vec3u(EXTENTS);
  let count = size.x * size.y * size.z;
  let last = count / TOGETHERu - 1;
  let other = (last - given / TOGETHERu) * TOGETHERu + given % TOGETHERu;
  let local = select(given, other, count % TOGETHERu == 0);
  let place = vec3u(local % size.x, local / size.x % size.y, local / size.x / size.y);
  let group = groups - 1 - given_group;
  body_of_NAME(ARGUMENTS);
}
