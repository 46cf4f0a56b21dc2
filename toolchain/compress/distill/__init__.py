"""Distillation: a student learns what a teacher says, shows inside, or keeps apart.

``toolchain/compress/distill/step.py`` carries out the step. Its loss is

    (1 - alpha) * loss of the task + alpha * sum of weight * term

Every loss of the catalogue (step ``distill``) names its implementation as ``module:name``, which is

- a class below :class:`toolchain.compress.distill.term.Term`: ``build(setting)`` makes it, from the
  options, the task, and the shapes of outputs and paired layers; called with (student, teacher, batch),
  both a :class:`~toolchain.compress.distill.term.Seen`, it gives a scalar in float32. Its parameters
  are trained along, its buffers are kept in checkpoints, its ``repr`` says its settings; or
- a function ``check(options, teachers)``: a mode (``sequential``, ``multi_teacher``, ``confidence``,
  ``low_resolution``), which changes how the other losses are used and refuses options that do not fit.
  A mode without a loss beside it uses ``kd``.

Weights are those that the papers (or, where they name none, Tian et al. 2020, CRD, arXiv:1910.10699, in
their comparison) use beside a task loss of weight 1, so they are meant for an ``alpha`` of 0.5; those of
losses that take the labels' place, for 0.9. Where ``alpha`` is None, the largest of the losses' own is used.
Gradients are clipped to a length of 5, so that large weights do not throw a student off in its first steps.

| loss | alpha | weight | from |
|---|---|---|---|
| kd | 0.9 | 1 | CRD |
| kd with logit_std | 0.9 | 10 | Sun 2024: 9 beside a task loss of 0.1 |
| dkd | 0.5 | 1, and 8 for the classes that are not the target | Zhao 2022 |
| dkd with logit_std | 0.5 | 9 | Sun 2024 |
| fitnets | 0.5 | 100 | CRD |
| attention | 0.5 | 1000 | Zagoruyko 2017 |
| nst | 0.5 | 50 | Huang 2017 |
| ab | 0.5 | 1 | ours, for a mean over all neurons |
| vid | 0.5 | 1 | CRD |
| fsp | 0.5 | 50 | CRD |
| rkd | 0.5 | 25 for distances, 50 for angles | Park 2019 |
| sp | 0.5 | 3000 | Tung 2019 |
| cc | 0.5 | 50 | ours, for a mean over all pairs of normalised embeddings |
| irg | 0.5 | 1 for each part | ours, for distances in units of their mean |
| crd | 0.5 | 0.8 | CRD |
| svd_ss | 0.5 | 100 | ours, for a mean over the batch; the paper balances gradients instead |
"""
