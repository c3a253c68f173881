# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does adversarial negative mining help an energy-based diffusion model to invert matrices?

# %% tags=["parameters"]
runs = "../reports/quick"
plan = ["none", "random", "adversarial"]

# %%
from anm.report import figures, gallery, gather, observations, products, sweeps, tables

study = gather(runs, plan)

# %%
tables.answer(study)

# %%
figures.headline(study)

# %%
tables.beside(study)

# %% [markdown]
# ## The question
#
# An energy-based model answers by descending an energy. It is trained to denoise right answers and, if it is also
# shown *negatives*, to give wrong answers a higher energy than right ones. *Adversarial mining* seeks negatives
# that the model itself takes for good: it starts from a noised answer and descends the energy a little. Is that
# worth its cost?
#
# Three strategies train the same network on the same problems from the same weights with the same noise, seed by
# seed. **none** has no negatives. **random** takes random matrices: it separates the effect of *any* negatives from
# that of hard ones. **adversarial** mines them. Declared before the runs: the score is the mean squared error on
# problems drawn as in training (*same*); problems nearer to singular (*harder*) come second.

# %% [markdown]
# ## Strategies side by side
#
# Strategies first, with the 95 % interval of their mean over seeds. Below them what costs no training of a network,
# on the same test problems, and what others have published. A strategy that does not beat the affine fit has
# learnt no more about inversion than two numbers hold.

# %%
tables.strategies(study)

# %%
figures.seeds(study)

# %%
tables.published(study)

# %% [markdown]
# ## Differences, seed by seed
#
# Pairing removes what two runs of one seed share, so that small differences show. Two questions are asked of each
# pair: is there a difference (exact sign-flip test, Holm's correction over the pairs), and is it too small to
# matter (two one-sided tests against the margin)?

# %%
figures.differences(study)

# %%
tables.pairs(study)

# %% [markdown] tags=["products"]
# ## Leaving the plateau
#
# How far energies that multiply matrices come below what an affine fit can reach, what an answer costs beside the
# classical iterations at the same count of matrix products, and what holds beyond the problems of the training.

# %% tags=["products"]
products.say(study)

# %% tags=["products"]
products.reached(study)

# %% tags=["products"]
products.prices(study)

# %% tags=["products"]
products.elsewhere(study)

# %% tags=["products"]
products.seeds(study)

# %% [markdown] tags=["sweep"]
# ## The sweep
#
# This folder holds a grid: each combination of the settings below was run, and `none` beside it. In the rest of the page
# the combination at the usual settings stands for its strategy. A sweep looks for where to look next: the more cells,
# the more of them differ by chance, which the correction answers for.

# %% tags=["sweep"]
sweeps.say(study)

# %% tags=["sweep"]
sweeps.maps(study)

# %% tags=["sweep"]
sweeps.cells(study)

# %% [markdown]
# ## Training

# %%
observations.learning(study)

# %%
figures.learning(study)

# %% [markdown]
# ## Thinking longer
#
# The promise of an energy is that more descent at test time answers better.

# %%
observations.thinking(study)

# %%
figures.thinking(study)

# %%
tables.optimisation(study)

# %% [markdown] tags=["forming"]
# ## An answer forming
#
# Solving starts from noise. At every level the energy's gradient points to the answer, landscape steps go downhill, and the next,
# less noisy level starts where they end.

# %% tags=["forming"]
gallery.forming(study)

# %% [markdown]
# ## Harder problems
#
# Two views of difficulty: the condition number within a test set, and test sets nearer and nearer to singular.

# %%
observations.conditions(study)

# %%
figures.conditions(study)

# %%
observations.ladder(study)

# %%
figures.ladder(study)

# %% [markdown] tags=["worst"]
# ### The worst cases

# %% tags=["worst"]
gallery.worst(study)

# %% [markdown]
# ## Inside the landscape
#
# Does the energy do what it is for? While solving, landscape steps should lower it and be kept. While training,
# a hard negative should look almost as good as the answer: the contrastive loss says how well the two are told apart.

# %%
observations.solving(study)

# %%
figures.solving(study)

# %%
observations.mining(study)

# %%
figures.mining(study)

# %% [markdown]
# ## Methods
#
# **Task.** A problem is $A = 2RR^\top + cI$ with the entries of $R$ uniform on $[-1, 1]$; its answer is $X = A^{-1}$.
# Training draws fresh problems at every step. The offset $c$ sets the difficulty: *same* has that of training,
# *harder* a smaller one. Test sets are frozen: drawn once, the same for every strategy, seed and machine.
#
# **Diffusion.** Noise level $t$ turns an answer $x_0$ into
#
# $$x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \varepsilon, \qquad \varepsilon \sim \mathcal{N}(0, I),$$
#
# and the gradient of the energy predicts the noise, $\hat\varepsilon = \nabla_x E(A, x_t, t)$. Denoising loss:
# $\mathcal{L}_d = \lVert \hat\varepsilon - \varepsilon \rVert^2$, averaged over entries.
#
# **Negatives.** A negative $x^-$ and the answer go through one further noise sample to the same level. With
# $E^+$ and $E^-$ the energies of the two, the contrastive loss is the cross-entropy of telling them apart,
#
# $$\mathcal{L}_c = \log\left(1 + e^{E^+ - E^-}\right), \qquad \mathcal{L} = \mathcal{L}_d + \lambda \mathcal{L}_c.$$
#
# *Hard* means wrong with low energy. `adversarial` noises the answer more strongly than the level does, takes
# landscape steps **down** the energy, and clips the result to the answer bound. `random` draws from a clipped
# normal distribution. `none` has no contrastive term.
#
# **Landscape step** at level $t$, for every problem on its own:
#
# $$x \leftarrow \mathrm{clip}\left(x - \eta_t\, \hat\varepsilon,\; \pm b \sqrt{\bar\alpha_t}\right), \qquad
# \eta_t = \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}},$$
#
# kept only where the energy did not rise. Solving starts from noise and alternates landscape steps with the
# passage to the next lower level.
#
# **Pairing.** Each seed has separate random streams for weights, problems, noise and miner, so that at one seed
# strategies differ in their negatives alone.
#
# **Statistics**, declared before the runs. Per-seed differences; BCa bootstrap interval of their mean; exact
# two-sided sign-flip test, corrected after Holm; equivalence by two one-sided paired t tests against a margin that
# is a share of the mean of `none`. With too few seeds there are intervals but no claim: the exact test could not
# reach significance. Intervals over so few seeds are too narrow, and none of them speaks about other machines,
# sizes or tasks.

# %%
tables.protocol(study)

# %% [markdown]
# ### Departures from the prior study's and IRED's released code
#
# | There | Here | Why |
# |---|---|---|
# | The clip bound of the first row's noise level is used for a whole batch | Every row is clipped to the bound of its own level | rows of one batch have different levels |
# | Every landscape step after the first is twice as long | All steps have the same scale | one definition of a step |
# | One gradient norm is clipped for the whole model | Clipped for each seed of a stack | a seed gives the same run alone and in a stack |
# | Scores of raw and of averaged weights mixed between scripts | Averaged weights everywhere | one definition of the score |
# | Each score came from fresh problems | Frozen test sets, the same for all | the spread between seeds was mostly test sampling |
# | Gradients through a second autograd pass; the energy evaluated twice at each accepted point | Energy and gradient together, in closed form, once | the same numbers in less time |
# | Problems by a data loader, one at a time | Problems drawn and inverted in batches | speed |
# | Half precision, always on | Precision is a setting, and on record | a small difference must not be rounding |
# | One random stream a run | Separate streams, the same for every strategy at one seed | differences show at fewer seeds |
# | Validation on the training objects | Validation on problems never trained on | a score is of unseen problems |
# | The answer is left at the scale of the last noise level, a little smaller | The answer is at its own scale | what is asked for is the inverse |
# | "Adversarial" was ascent in the notes and descent in the code | Descent; ascent is another strategy | hard means low energy |

# %% [markdown]
# ## Where the numbers come from
#
# Every number on this page is computed, when the page is made, from the executed notebooks below and the file of the
# direct network where there is one. In the figures, hover a mark to see its run and seed; in the table of seeds,
# follow the link.

# %%
tables.provenance(study)

# %%
tables.settings(study)

# %%
tables.seeds(study)

# %% [markdown]
# ## What is missing

# %%
tables.gaps(study)

# %% [markdown]
# ## Take the data
#
# The files are in this page itself; saving them needs no network.

# %%
tables.downloads(study)
