# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Do mined negatives help an energy-based diffusion model to reason?

# %% tags=["parameters"]
runs = "../reports/quick"
plan = ["none", "random", "adversarial"]

# %%
from anm.report import answer, comparison_tables, data_files, figures, gallery, gather
from anm.report import observations, products, published_tables, run_tables, strategy_table, sweeps, task_tables
from anm.report.page_head import byline

study = gather(runs, plan)

# %%
byline(study.records, runs) + answer.first_screen(study)

# %%
figures.headline(study) + answer.details(study) + comparison_tables.costs(study)

# %% [markdown]
# ## The question
#
# An energy-based model descends an energy to find an answer. It is trained to denoise right answers. It can also be
# shown *negatives*: wrong answers, whose energy must be higher than that of right ones. *Adversarial mining* searches
# for negatives with low energy: it takes a noised answer and descends the energy by a few steps. Does this improve the
# answers enough to justify its cost?
#
# Three strategies train the same network. At each seed they have the same initial weights, problems and noise.
# **none** has no negatives. **random** uses random matrices; it separates the effect of *any* negatives from the
# effect of hard ones. **adversarial** uses mined negatives. The primary score was declared before the runs: the error
# on problems as in training (*same*). The secondary score is the error on more difficult problems (*harder*).
#
# ## Strategies
#
# Each strategy with the 95 % interval of its mean over seeds. Below them: baselines without training on the same test
# problems, and the best published figure. The last column compares with the affine fit, which has two numbers. A ratio
# near 1 means that the network has learnt no more about the task than this fit. Near the affine fit, a difference
# between strategies says little about mining.

# %%
(
    strategy_table.strategies(study)
    + figures.seeds(study)
    + published_tables.differences(study)
    + published_tables.published_table(study)
)

# %% [markdown]
# ## Paired differences
#
# Pairing by seed removes the variation that two runs of one seed share. Each pair is tested twice. Is there a
# difference (exact sign-flip test, Holm's correction over the pairs)? Is it too small to matter (two one-sided tests
# against the margin)? *Inconclusive* means that neither was found.

# %%
figures.differences(study) + comparison_tables.pairs(study) + comparison_tables.geometric_ratios(study)

# %% [markdown] tags=["products"]
# ## Energies that multiply matrices
#
# Three questions about energies that multiply matrices. How far are their errors below the affine fit? How many matrix
# products does an answer cost, against iterative baselines? What is the error on other sizes and spectra?
# *Refinement steps* are conjugate gradient steps at test time, after the last noise level.

# %% tags=["products"]
(
    products.description(study)
    + products.error_ranges(study)
    + products.products_needed(study)
    + products.error_by_products(study)
    + products.other_problems(study)
    + products.seeds(study)
)

# %% [markdown] tags=["sweep"]
# ## The sweep
#
# This folder holds a sweep: one run for each combination of the settings below, and the matching runs of `none`. The
# rest of the page is about the combination at the standard settings. With more cells, more of them differ by chance;
# Holm's correction accounts for that.

# %% tags=["sweep"]
sweeps.description(study) + sweeps.summary(study) + sweeps.maps(study) + sweeps.cells(study)

# %% [markdown]
# ## Training, and landscape steps at test time
#
# More landscape steps per noise level descend the energy further. They should improve the answer.

# %%
(
    observations.learning(study)
    + figures.learning(study)
    + observations.landscape_steps(study)
    + figures.landscape_steps(study)
    + published_tables.optimisation_steps(study)
)

# %% [markdown] tags=["forming"]
# ## One answer, level by level
#
# Solving starts from noise. At every level, landscape steps descend the energy, whose gradient predicts the noise. The
# next, less noisy level starts from the result.

# %% tags=["forming"]
gallery.forming(study)

# %% [markdown]
# ## Harder problems
#
# Two measures of difficulty: the condition number within a test set, and the offset c of the test set.

# %%
(
    observations.conditions(study)
    + figures.conditions(study)
    + observations.ladder(study)
    + figures.ladder(study)
    + gallery.worst(study)
)

# %% [markdown]
# ## The energy and its negatives
#
# While solving, landscape steps should lower the energy and be accepted. While training, a hard negative should have
# almost the energy of the answer. The contrastive loss measures how well the energy separates the two. Where this loss
# is near zero, the energy separates them completely, and a strategy can change little.

# %%
observations.solving(study) + figures.solving(study) + observations.mining(study) + figures.mining(study)

# %% [markdown]
# ## Methods
#
# **Task.** Training draws new problems at every step, of the difficulty *same*; *harder* problems are only tested. Test
# sets are frozen: drawn once, the same for every strategy, seed and machine.
#
# **Floors: what each task allows without training.**
# Every task at IRED's size and at smaller ones: scores on 4,000 frozen problems of each difficulty, with standard
# errors. A network can tell strategies apart only where there is room between the least-squares answer and the limit.

# %%
task_tables.task_descriptions(study) + task_tables.floor_table()

# %% [markdown]
# ### Training and solving
#
# **Diffusion.** Noise level $t$ turns an answer $x_0$ into
#
# $$x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \varepsilon, \qquad
# \varepsilon \sim \mathcal{N}(0, I),$$
#
# and the gradient of the energy predicts the noise, $\hat\varepsilon = \nabla_x E(A, x_t, t)$. The denoising loss is
# $\mathcal{L}_d = \lVert \hat\varepsilon - \varepsilon \rVert^2$, averaged over entries.
#
# **Negatives.** A negative $x^-$ and the answer get the same new noise of the same level. $E^-$ and $E^+$ are their
# energies. The contrastive loss is the cross-entropy of separating the two,
#
# $$\mathcal{L}_c = \log\left(1 + e^{E^+ - E^-}\right), \qquad \mathcal{L} = \mathcal{L}_d + \lambda \mathcal{L}_c.$$
#
# *Hard* means wrong with low energy. `adversarial` adds more noise to the answer than the level has, takes landscape
# steps **down** the energy, and clips the result to the answer bound. `random` draws from a clipped normal
# distribution. `none` has no contrastive loss.
#
# **Landscape step** at level $t$, separately for every problem:
#
# $$x \leftarrow \mathrm{clip}\left(x - \eta_t\, \hat\varepsilon,\; \pm b \sqrt{\bar\alpha_t}\right), \qquad
# \eta_t = \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}.$$
#
# A step is accepted only if the energy does not rise. Solving starts from noise. It alternates landscape steps with
# the transition to the next lower level.
#
# **Pairing.** Each seed has separate random streams for weights, problems, noise and miner. At one seed, strategies
# differ in their negatives only.
#
# **Statistics**, declared before the runs. Paired differences per seed; BCa bootstrap interval of their mean; exact
# two-sided sign-flip test with Holm's correction; equivalence by two one-sided paired t tests. The equivalence margin
# is a share of the mean of `none`. With too few seeds the page gives intervals but no claim, because the exact test
# cannot reach significance. Limits: intervals over so few seeds are too narrow, and no interval covers other machines,
# sizes or tasks.

# %%
run_tables.protocol(study)

# %% [markdown]
# ### Differences from the released code of the prior study and of IRED
#
# | There | Here | Why |
# |---|---|---|
# | A whole batch is clipped to the bound of its first row's noise level | Every row is clipped to the bound of its own level | Rows of one batch have different levels |
# | Every landscape step after the first is twice as long | All steps have the same scale | One definition of a step |
# | One gradient norm is clipped for the whole model | The norm is clipped for each seed of a stack | A seed gives the same run alone and in a stack |
# | Some scripts score raw weights, others averaged weights | Averaged weights always | One definition of the score |
# | Each score is on new problems | Frozen test sets, the same for all | Most of the variation between seeds was test sampling |
# | A second autograd pass for gradients; the energy is evaluated twice at each accepted point | Energy and gradient together, in closed form, once | The same numbers in less time |
# | Problems come one at a time from a data loader | Problems are drawn and inverted in batches | Speed |
# | Half precision always | Precision is a setting, in the record | A small difference must not come from rounding |
# | One random stream per run | Separate streams, the same for every strategy at one seed | Differences are visible with fewer seeds |
# | Validation on training problems | Validation on problems never used in training | The score is for unseen problems |
# | The answer has the scale of the last noise level, a little smaller | The answer has its own scale | The task asks for the inverse |
# | "Adversarial" is ascent in the notes and descent in the code | Descent; ascent is another strategy | Hard means low energy |
#
# ## Origin of the numbers
#
# Every number on this page is computed from the executed notebooks below when the page is built, and from the file of
# the feed-forward network if there is one. In the figures, hover over a mark to see its run and seed. In the table of
# seeds, follow the link.

# %%
run_tables.provenance_table(study) + run_tables.settings(study) + run_tables.seeds(study)

# %% [markdown]
# ## What is missing

# %%
run_tables.missing_and_refused(study) + data_files.downloads(study)
