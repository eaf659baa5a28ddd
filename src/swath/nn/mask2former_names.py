"""Weights of Mask2Former heads as OpenMMLab (mmdetection 3, mmsegmentation 1) names them, by our names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

#: Patterns of published names and what they are here, tried in order.
_NAMES = tuple(
    (re.compile(pattern), ours)
    for pattern, ours in (
        (r"pixel_decoder\.input_convs\.(\d)\.conv\.", r"pixel_decoder.input_projections.\1.0."),
        (r"pixel_decoder\.input_convs\.(\d)\.gn\.", r"pixel_decoder.input_projections.\1.1."),
        (r"pixel_decoder\.lateral_convs\.0\.conv\.", "pixel_decoder.adapter_1.0."),
        (r"pixel_decoder\.lateral_convs\.0\.gn\.", "pixel_decoder.adapter_1.1."),
        (r"pixel_decoder\.output_convs\.0\.conv\.", "pixel_decoder.layer_1.0."),
        (r"pixel_decoder\.output_convs\.0\.gn\.", "pixel_decoder.layer_1.1."),
        (r"pixel_decoder\.level_encoding\.weight", "pixel_decoder.level_embed"),
        (r"pixel_decoder\.mask_feature\.", "pixel_decoder.mask_projection."),
        (r"(pixel_decoder\.encoder\.layers\.\d+\.)norms\.0\.", r"\1self_attn_layer_norm."),
        (r"(pixel_decoder\.encoder\.layers\.\d+\.)norms\.1\.", r"\1final_layer_norm."),
        (r"(pixel_decoder\.encoder\.layers\.\d+\.)ffn\.layers\.0\.0\.", r"\1fc1."),
        (r"(pixel_decoder\.encoder\.layers\.\d+\.)ffn\.layers\.1\.", r"\1fc2."),
        (r"transformer_decoder\.layers\.(\d+)\.(self|cross)_attn\.attn\.", r"transformer.decoder.layers.\1.\2_attn."),
        (r"transformer_decoder\.layers\.(\d+)\.norms\.0\.", r"transformer.decoder.layers.\1.cross_attn_layer_norm."),
        (r"transformer_decoder\.layers\.(\d+)\.norms\.1\.", r"transformer.decoder.layers.\1.self_attn_layer_norm."),
        (r"transformer_decoder\.layers\.(\d+)\.norms\.2\.", r"transformer.decoder.layers.\1.final_layer_norm."),
        (r"transformer_decoder\.layers\.(\d+)\.ffn\.layers\.0\.0\.", r"transformer.decoder.layers.\1.fc1."),
        (r"transformer_decoder\.layers\.(\d+)\.ffn\.layers\.1\.", r"transformer.decoder.layers.\1.fc2."),
        (r"transformer_decoder\.post_norm\.", "transformer.decoder.layernorm."),
        (r"query_embed\.", "transformer.queries_embedder."),
        (r"query_feat\.", "transformer.queries_features."),
        (r"level_embed\.", "transformer.level_embed."),
        (r"cls_embed\.", "class_predictor."),
        (r"mask_embed\.0\.", "transformer.decoder.mask_predictor.mask_embedder.0.0."),
        (r"mask_embed\.2\.", "transformer.decoder.mask_predictor.mask_embedder.1.0."),
        (r"mask_embed\.4\.", "transformer.decoder.mask_predictor.mask_embedder.2.0."),
    )
)
#: The self attention of queries is published with queries, keys and values in one tensor.
_JOINT = re.compile(r"(.*\.self_attn\.)in_proj_(weight|bias)")


def from_openmmlab(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a published head, without the prefix `decode_head.`, by the names of `Mask2FormerHead`."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        ours = next((p.sub(to, name, count=1) for p, to in _NAMES if p.match(name)), name)
        if joint := _JOINT.fullmatch(ours):
            parts = zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3), strict=True)
            renamed |= {f"{joint[1]}{part}.{joint[2]}": piece for part, piece in parts}
        else:
            renamed[ours] = tensor
    return renamed
