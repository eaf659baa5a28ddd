"""Answers to questions about images: features of the image and of the question, fused, to one of many answers.

Sources: Yang et al., "Stacked Attention Networks for Image Question Answering" (CVPR 2016, arXiv 1511.02274); Yu et
al., "Multi-modal Factorized Bilinear Pooling with Co-Attention Learning for Visual Question Answering" (ICCV 2017,
arXiv 1708.01471), equations 6 to 8.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from swath.errors import ConfigError
from swath.nn.encoders import timm_network

Fusion = Literal["concatenate", "product", "stacked_attention", "bilinear", "question"]
#: Glimpses of attention on words and on the image, and hops of stacked attention.
_GLIMPSES, _HOPS = 2, 2


class BilinearPooling(nn.Module):
    """Factorised bilinear pooling: `sum over k of dropout(U a * V b)`, signed root, unit length.

    Args:
        first: Features of `a`.
        second: Features of `b`.
        width: Features of the result.
        factors: k, how many products are added for each.
        dropout: Share of the products.
    """

    def __init__(self, first: int, second: int, width: int, factors: int = 5, dropout: float = 0.1) -> None:
        super().__init__()
        self.width, self.factors = width, factors
        self.first, self.second = nn.Linear(first, width * factors), nn.Linear(second, width * factors)
        self.dropout = nn.Dropout(dropout)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """`[..., first]` and `[..., second]` -> `[..., width]`."""
        products = self.dropout(self.first(a) * self.second(b))
        pooled = products.unflatten(-1, (self.width, self.factors)).sum(-1)
        # not `sqrt`, whose slope at 0 is infinite
        return functional.normalize(pooled.sign() * (pooled.abs() + 1e-12).sqrt(), dim=-1)


class Glimpses(nn.Module):
    """Weighted means of things, with weights that a small network tells from them.

    Args:
        width: Features that the weights are told from.
        glimpses: How many means are taken.
    """

    def __init__(self, width: int, glimpses: int = _GLIMPSES) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width // 2), nn.ReLU(), nn.Linear(width // 2, glimpses))

    def weights(self, told: Tensor, absent: Tensor | None = None) -> Tensor:
        """Weights `[B, N, glimpses]` of things `[B, N, width]`, which sum to 1 over those that are not `absent`."""
        scores = self.score(told)
        if absent is not None:
            scores = scores.masked_fill(absent[..., None], -torch.inf)
        return scores.softmax(1)

    def forward(self, things: Tensor, told: Tensor, absent: Tensor | None = None) -> Tensor:
        """The means `[B, glimpses * features]` of things `[B, N, features]`."""
        return torch.einsum("bng,bnf->bgf", self.weights(told, absent), things).flatten(1)


class AnswerNet(nn.Module):
    """An image, a question, an answer.

    Args:
        encoder: A timm network; its last features are looked at.
        in_channels: Bands.
        answers: Number of answers.
        words: Numbers of words, 0 pads.
        fusion: `bilinear` with co-attention, `stacked_attention`, `product`, `concatenate`; or `question`, which never
            looks at the image.
        width: Features of the question.

    Raises:
        ConfigError: If timm has no such network, or there is no such fusion.
    """

    def __init__(
        self, encoder: str, in_channels: int, answers: int, words: int, fusion: Fusion = "bilinear", width: int = 256
    ) -> None:
        super().__init__()
        import timm

        with timm_network(encoder, "features of a grid"):
            self.encoder = timm.create_model(encoder, in_chans=in_channels, num_classes=0, global_pool="")
        self.fusion = fusion
        self.embedding = nn.Embedding(words, width // 2, padding_idx=0)
        self.lstm = nn.LSTM(width // 2, width, batch_first=True)
        self.project = nn.LazyLinear(width)
        sees = width
        if fusion == "concatenate":
            sees = 2 * width
        elif fusion == "stacked_attention":
            self.image_side = nn.ModuleList(nn.Linear(width, width) for _ in range(_HOPS))
            self.question_side = nn.ModuleList(nn.Linear(width, width) for _ in range(_HOPS))
            self.hop = nn.ModuleList(nn.Linear(width, 1) for _ in range(_HOPS))
        elif fusion == "bilinear":
            self.on_words = Glimpses(width)
            self.beside = BilinearPooling(width, _GLIMPSES * width, width)
            self.on_image = Glimpses(width)
            self.joined = BilinearPooling(_GLIMPSES * width, _GLIMPSES * width, width)
        elif fusion not in ("product", "question"):
            raise ConfigError("Image and question cannot be fused so", got=fusion)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(sees, answers))
        with torch.no_grad():  # tells how many features the encoder has
            self.eval()(torch.zeros(1, in_channels, 64, 64), torch.ones(1, 2, dtype=torch.long))
        self.train()

    def forward(self, image: Tensor, words: Tensor) -> Tensor:
        """Logits `[B, answers]` of normalised images `[B, C, H, W]` and numbers of words `[B, T]`."""
        states, question = self._read(words)
        features = self.encoder(image)
        places = self.project(features.flatten(2).transpose(1, 2) if features.ndim == 4 else features)
        absent = words == 0
        absent[:, 0] = False  # a question without a word has one that nobody knows
        return self.head(self._fused(places, states, question, absent))

    def _read(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """States at each word `[B, T, width]`, and that after the last word `[B, width]`."""
        states, _ = self.lstm(self.embedding(words))
        last = (words != 0).sum(1).clamp_min(1) - 1
        return states, states[torch.arange(len(words), device=words.device), last]

    def _fused(self, places: Tensor, states: Tensor, question: Tensor, absent: Tensor) -> Tensor:
        if self.fusion == "question":
            return question
        if self.fusion == "product":
            return places.mean(1) * question
        if self.fusion == "concatenate":
            return torch.cat([places.mean(1), question], 1)
        if self.fusion == "stacked_attention":
            for image_side, question_side, hop in zip(self.image_side, self.question_side, self.hop, strict=True):
                weights = hop(torch.tanh(image_side(places) + question_side(question)[:, None])).softmax(1)
                question = (weights * places).sum(1) + question
            return question
        asked = self.on_words(states, states, absent)
        beside = self.beside(places, asked[:, None].expand(-1, places.shape[1], -1))
        return self.joined(self.on_image(places, beside), asked)
