"""Losses of the step ``distill``, and ways to use them; see ``toolchain/compress/distill/__init__.py``.

None saves anything by itself: they win back accuracy for a student that is smaller for other reasons.
Only ``low_resolution`` makes the student cheaper.
"""

from __future__ import annotations

from toolchain.compress.catalogue.method import Method, Saving

_HOME = "toolchain.compress.distill"
_LEARNS = ("data", "training", "teacher")
_CLASSES = ("classification",)
_ANY = ("any",)
_SAME = "Saves nothing by itself."


def _method(
    name: str,
    kind: str,
    title: str,
    paper: str,
    implementation: str,
    *,
    tasks: tuple[str, ...] = _ANY,
    labels: bool = False,
    saves: tuple[Saving, ...] = (),
    limits: str = "",
) -> Method:
    return Method(
        name=name,
        step="distill",
        family=f"distillation: {kind}",
        title=title,
        paper=paper,
        implementation=f"{_HOME}.{implementation}",
        saves=saves,
        needs=(*_LEARNS, "labels") if labels else _LEARNS,
        tasks=tasks,
        limits=limits if saves else f"{_SAME} {limits}".strip(),
    )


METHODS: tuple[Method, ...] = (
    _method(
        "kd",
        "response",
        "softened class probabilities; squared error on outputs that are no logits",
        "Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network, arXiv:1503.02531; for other "
        "outputs Ba & Caruana 2014, Do Deep Nets Really Need to be Deep?, arXiv:1312.6184",
        "response:Kd",
        limits="Outputs must have the same shapes. On a detector's outputs background outweighs objects.",
    ),
    _method(
        "dkd",
        "response",
        "target class and the other classes weighted apart",
        "Zhao, Cui, Song, Qiu & Liang 2022, Decoupled Knowledge Distillation, arXiv:2203.08679",
        "response:Dkd",
        tasks=_CLASSES,
        labels=True,
        limits="With two classes there is nothing beside the target.",
    ),
    _method(
        "logit_std",
        "response",
        "logits standardised before kd or dkd, which may stand beside it",
        "Sun, Ren, Li, Wang & Cao 2024, Logit Standardization in Knowledge Distillation, arXiv:2403.01427",
        "response:LogitStd",
        tasks=_CLASSES,
        limits="Hides from the student how sure the teacher is.",
    ),
    _method(
        "sequential",
        "several teachers",
        "teachers one after the other; those without weights learn from the one before, as assistants",
        "Mirzadeh et al. 2020, Improved Knowledge Distillation via Teacher Assistant, arXiv:1902.03393",
        "modes:sequential",
        limits="Every assistant costs a whole training.",
    ),
    _method(
        "multi_teacher",
        "several teachers",
        "the mean of several teachers' outputs, and of their losses on features",
        "You, Xu, Xu & Tao 2017, Learning from Multiple Teacher Networks, KDD 2017",
        "modes:multi_teacher",
        limits="A bad teacher counts as much as a good one.",
    ),
    _method(
        "confidence",
        "several teachers",
        "several teachers' logits, for each sample weighted by how well they know its label",
        "Zhang, Chen & Wang 2022, Confidence-Aware Multi-Teacher Knowledge Distillation, arXiv:2201.00007",
        "modes:confidence",
        tasks=_CLASSES,
        labels=True,
        limits="Losses on features are averaged as in multi_teacher.",
    ),
    _method(
        "low_resolution",
        "input",
        "the student sees images of a lower resolution than the teacher",
        "Zhu, Han, Wang & Wang 2019, Low-Resolution Visual Recognition via Deep Feature Distillation, ICASSP 2019; "
        "Ge et al. 2019, Low-Resolution Face Recognition in the Wild via Selective Knowledge Distillation, "
        "arXiv:1811.09998",
        "modes:low_resolution",
        saves=(Saving("MACs"), Saving("latency"), Saving("memory")),
        limits="Needs a network that takes images of any size; parameters stay as many as they were.",
    ),
    _method(
        "fitnets",
        "feature",
        "hints: a layer in the middle, through a trained 1x1 convolution",
        "Romero et al. 2015, FitNets: Hints for Thin Deep Nets, arXiv:1412.6550",
        "feature:FitNets",
    ),
    _method(
        "attention",
        "feature",
        "where a layer's maps are active",
        "Zagoruyko & Komodakis 2017, Paying More Attention to Attention, arXiv:1612.03928",
        "feature:Attention",
        limits="Needs layers with spatial axes.",
    ),
    _method(
        "nst",
        "feature",
        "neuron selectivity: maximum mean discrepancy between the channels, polynomial kernel",
        "Huang & Wang 2017, Like What You Like: Knowledge Distill via Neuron Selectivity Transfer, arXiv:1707.01219",
        "distribution:Selectivity",
        limits="Needs layers with spatial axes.",
    ),
    _method(
        "ab",
        "feature",
        "activation boundaries: which neurons are active",
        "Heo, Lee, Yun & Choi 2019, Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden "
        "Neurons, arXiv:1811.03233",
        "feature:Boundaries",
        limits="Needs activations that keep the sign of their input (ReLU and its kin).",
    ),
    _method(
        "vid",
        "feature",
        "mutual information with the teacher's layers, by a Gaussian guess of them",
        "Ahn, Hu, Damianou, Lawrence & Dai 2019, Variational Information Distillation for Knowledge Transfer, "
        "arXiv:1904.05835",
        "distribution:Information",
    ),
    _method(
        "fsp",
        "feature",
        "the flow between layers: inner products of neighbouring stages' channels",
        "Yim, Joo, Bae & Kim 2017, A Gift from Knowledge Distillation, CVPR 2017",
        "flow:Flow",
        limits="Needs two layers with spatial axes.",
    ),
    _method(
        "rkd",
        "relation",
        "distances between samples, and angles among three of them",
        "Park, Kim, Lu & Cho 2019, Relational Knowledge Distillation, arXiv:1904.05068",
        "relation:Relational",
    ),
    _method(
        "sp",
        "relation",
        "which samples of a batch excite a layer alike",
        "Tung & Mori 2019, Similarity-Preserving Knowledge Distillation, arXiv:1907.09682",
        "relation:SimilarityPreserving",
    ),
    _method(
        "cc",
        "relation",
        "correlation congruence: a Gaussian kernel between samples, as a Taylor series",
        "Peng et al. 2019, Correlation Congruence for Knowledge Distillation, arXiv:1904.01802",
        "relation:CorrelationCongruence",
    ),
    _method(
        "irg",
        "relation",
        "the graph of a batch's samples, and how it changes from layer to layer",
        "Liu et al. 2019, Knowledge Distillation via Instance Relationship Graph, CVPR 2019",
        "graph:InstanceGraph",
    ),
    _method(
        "crd",
        "relation",
        "contrastive: a sample's two embeddings against other samples', from a memory",
        "Tian, Krishnan & Isola 2020, Contrastive Representation Distillation, arXiv:1910.10699",
        "contrast:Contrast",
        limits="Keeps 1 kB for each training sample while it trains.",
    ),
    _method(
        "svd_ss",
        "self-supervised",
        "how the first singular vectors of feature maps relate from layer to layer",
        "Lee, Kim & Song 2018, Self-supervised Knowledge Distillation Using Singular Value Decomposition, "
        "arXiv:1807.06819",
        "singular:SingularVectors",
        limits="Needs two layers with spatial axes; its decompositions make training slow.",
    ),
)
