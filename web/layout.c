/* Where JavaScript finds the fields of the structs of csrc/fastwavenet.h in the module's memory
 * (docs/wasm.md): a compiler that laid them out otherwise would fail here. */
#include <stddef.h>
#include "fastwavenet.h"

#define AT(type, field, offset) \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved")
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size")

SIZE(fwn_codec, 48);
AT(fwn_codec, mu, 0);
AT(fwn_codec, steps, 8);
AT(fwn_codec, encode_offset, 16);
AT(fwn_codec, decode_offset, 24);
AT(fwn_codec, decode_divisor, 32);
AT(fwn_codec, pre_emphasis, 40);

SIZE(fwn_upsampling, 24);
AT(fwn_upsampling, inputs, 0);
AT(fwn_upsampling, outputs, 4);
AT(fwn_upsampling, kernel, 8);
AT(fwn_upsampling, stride, 12);
AT(fwn_upsampling, crop, 16);
AT(fwn_upsampling, relu, 20);

SIZE(fwn_spec, 80);
AT(fwn_spec, levels, 0);
AT(fwn_spec, residual, 4);
AT(fwn_spec, dilation_channels, 8);
AT(fwn_spec, skip, 12);
AT(fwn_spec, head, 16);
AT(fwn_spec, first_kernel, 20);
AT(fwn_spec, layers, 24);
AT(fwn_spec, kernels, 28);
AT(fwn_spec, dilations, 32);
AT(fwn_spec, start_code, 36);
AT(fwn_spec, first_tanh, 40);
AT(fwn_spec, first_from_start, 44);
AT(fwn_spec, codec, 48);
AT(fwn_spec, frame_channels, 52);
AT(fwn_spec, frame_hop, 56);
AT(fwn_spec, frame_linear, 60);
AT(fwn_spec, speakers, 64);
AT(fwn_spec, speaker_channels, 68);
AT(fwn_spec, upsampling, 72);
AT(fwn_spec, stages, 76);

SIZE(fwn_tensor, 28);
AT(fwn_tensor, name, 0);
AT(fwn_tensor, data, 4);
AT(fwn_tensor, rank, 8);
AT(fwn_tensor, shape, 12);

SIZE(fwn_info, 24);
AT(fwn_info, arena_bytes, 0);
AT(fwn_info, step_bytes, 4);
AT(fwn_info, fingerprint, 8);
AT(fwn_info, arena, 16);

SIZE(fwn_row_info, 32);
AT(fwn_row_info, seed, 0);
AT(fwn_row_info, step, 8);
AT(fwn_row_info, id, 16);
AT(fwn_row_info, begun, 20);
AT(fwn_row_info, last, 24);

SIZE(fwn_io, 80);
AT(fwn_io, n, 0);
AT(fwn_io, forced, 4);
AT(fwn_io, frames, 8);
AT(fwn_io, n_frames, 12);
AT(fwn_io, frame_at, 16);
AT(fwn_io, speakers, 24);
AT(fwn_io, temperature, 28);
AT(fwn_io, top_k, 32);
AT(fwn_io, min_p, 36);
AT(fwn_io, frame_temperature, 40);
AT(fwn_io, frame_min_p, 44);
AT(fwn_io, coders, 48);
AT(fwn_io, widths, 52);
AT(fwn_io, places, 56);
AT(fwn_io, codes, 60);
AT(fwn_io, audio, 64);
AT(fwn_io, logp, 68);
AT(fwn_io, logits, 72);
