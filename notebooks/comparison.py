# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Do mined negatives help at equal compute?

# %% tags=["parameters"]
runs = "../reports/equal-compute"
appendix = "../reports/cpu"
second = "../reports/connectivity"
part = "../reports/h100"

# %%
from anm.report import equal_compute_answer, equal_compute_checks, equal_compute_figures, equal_compute_tables
from anm.report import follow_up, gather_comparison, task_tables
from anm.report.page_head import byline

comparison, later = gather_comparison(runs), follow_up.gather_follow_up(second)

# %%
byline(comparison.records, runs) + equal_compute_answer.first_screen(comparison)

# %%
equal_compute_figures.forest(comparison) + follow_up.follow_up_answer(later)

# %% [markdown]
# ## Error against compute
#
# All arms of a regime have the same budget of compute, counted in floating-point operations. An arm with costly steps
# takes fewer of them.

# %%
equal_compute_figures.error_by_compute(comparison)

# %% [markdown]
# ## Arms
#
# The *error ratio* is the geometric mean over seeds of the error over that of none. The *compute multiplier* is the
# compute at which none reaches the error of the arm, over the budget. An arm with a multiplier of one half wastes half
# of its compute.

# %%
equal_compute_tables.leaderboard(comparison) + equal_compute_tables.every_comparison(comparison)

# %% [markdown] tags=["answers"]
# ## One right answer against many
#
# Denoising is blind to the relative energy of separate answers. So negatives could help most where a problem has many
# right answers. The two regimes below have the same matrices. In one, only the positive root is right.

# %% tags=["answers"]
equal_compute_tables.one_or_many(comparison)

# %% [markdown]
# ## What was mined
#
# A negative that is right teaches something false. One at the answer bound is nowhere near the answer. Mining steps
# that do not lower the energy find nothing.

# %%
equal_compute_checks.mined(comparison)

# %% [markdown]
# ## The gate
#
# A regime can tell arms apart only if none is well below the best least-squares answer, and well above the limit.
# Nothing is claimed on a regime that fails.

# %%
equal_compute_checks.gate_table(comparison)

# %%
task_tables.floor_table()

# %% [markdown]
# ## Does the answer depend on how it is measured?

# %%
equal_compute_tables.robustness(comparison) + equal_compute_checks.step_costs(comparison)

# %%
equal_compute_tables.widths(comparison)

# %% [markdown] tags=["second"]
# ## The second comparison
#
# On connectivity, one arm with negatives had a lower error than none, but the regime failed its gate. So a second
# comparison was declared: a budget at which the gate can pass, other seeds, other problems, and one size more.

# %% tags=["second"]
follow_up.follow_up_section(later)

# %% [markdown]
# ## What would change the answer

# %%
equal_compute_tables.criteria(comparison)

# %%
equal_compute_checks.declared(comparison)

# %% [markdown]
# ## What is missing

# %%
equal_compute_checks.missing(comparison, part)

# %% [markdown]
# ## Methods
#
# **Arms.** Every arm trains the same energy network with a denoising loss. *Contrastive* arms also have a loss that
# gives wrong answers (negatives) a higher energy than right ones. *Denoising* arms use wrong answers as further inputs,
# from which the energy's gradient must point to the right answer. The last arm draws the strength of the noise at
# random, and has no negatives.
#
# **Pairing.** At one seed, all arms of a regime have the same initial weights, problems and noise. Each seed gives one
# difference of log errors per arm.
#
# **Statistics.** Ratios are geometric means over seeds. The interval inverts an exact sign-flip test; p has Holm's
# correction over the declared family. *Equivalent* means that two one-sided tests place the ratio within the margin.
# Intervals are not corrected. All other comparisons are exploratory.
#
# **Compute.** Operations of matrix products are counted on a real step, forward, backward and mining. A run is scored
# after a quarter, a half and all of the budget, each time after its own decay of the learning rate.
#
# **Tuning.** Every arm had the same number of trials, on other seeds and other problems than those of the study.

# %%
equal_compute_checks.origins(comparison)

# %% [markdown] tags=["appendix"]
# ## Appendix: the earlier study
#
# Matrices of the published size, and equal steps instead of equal compute. It is exploratory: its length was chosen
# after looking, and the published network, `mlp`, ends near the affine fit and fails the gate.

# %% tags=["appendix"]
equal_compute_checks.earlier_study(appendix)
