# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Train and score one strategy
#
# **Question.** An energy-based diffusion model gives an energy to every candidate answer $x$ of a problem $A$, and
# solves the problem by descending this energy. Does training with *negatives*, wrong answers whose energy the loss
# raises, lower the error of its answers? This notebook trains one stack of seeds with one strategy for negatives,
# scores it on frozen test problems, and stores the result in its last output.
#
#     papermill notebooks/train.ipynb out.ipynb -p strategy adversarial
#
# ## Parameters
#
# `task` sets what is to be solved: `docs/tasks.md` lists the tasks. `strategy` sets where negatives come from. `none`:
# no negatives. `random`: random matrices. `adversarial`: the answer with noise, moved down the energy to a wrong
# answer with low energy. `docs/catalogue.md` lists the others.

# %% tags=["parameters"]
strategy = "adversarial"  # where negatives come from: none, random, adversarial, ... or module:function
energy = "mlp"  # mlp, bilinear, residual, or module:Class
task = "inverse"  # inverse, addition, completion, square_root, square_root_many, connectivity, or module:Class
n = 20  # side of the matrices, or number of nodes
width = 512  # mlp: of the hidden layers
completion_rank = 10  # task completion: rank of the matrices, before noise
noise_levels = 10  # number of noise levels T
train_steps = 500  # optimiser steps, unless budget_steps is given
budget_steps = 0  # train for the compute of so many steps of none; 0: train_steps
budget_points = "1"  # shares of the training at which the run is also scored: 0.25,0.5,1
batch_size = 64  # fresh problems per step and seed
learning_rate = 1e-3  # of Adam; the largest one, if it changes
schedule = "constant"  # of the learning rate: constant, cosine, or wsd (warm-up, stable, decay)
least_noise = 1.0  # the denoising noise of a row is scaled by a number uniform from this to 1
seeds = "0-2"  # trained together: 3, 0-7 or 0,2,5
mining_opt_steps = 2  # landscape steps from the start to the negative
mining_noise_scale = 3.0  # noise of that start, in units of the noise of its level
contrastive_weight = 0.5  # weight of the loss of negatives; the denoising loss has weight 1
negative_loss = "contrastive"  # contrastive: raise their energy; denoising: its gradient points to the answer
negative_share = 1.0  # share of the rows of a batch that get a negative
contrastive_warmup = 0  # steps over which that weight rises from 0
contrast_noise = "own"  # of answer and negative: own, denoising (that of the denoising loss), or none
contrast_scale = "none"  # gap: divide energies by the mean gap of their noise level, if it is above 1
mining_levels = "all"  # noise levels whose negatives count: all or 0-4
false_negative_residual = 0.0  # negatives with a smaller residual count as right answers and are left out
target_hardness = 0.25  # calibrated: probability that the contrast gives to a negative
candidates = 8  # hardest_of_k: answers to choose from
ball_radius = 0.1  # pgd: largest RMS distance from the answer
langevin_noise = 1.0  # langevin, replay: noise of a step, 1 for Langevin dynamics
replay_size = 10000  # replay: negatives in the buffer of a seed
replay_fresh = 0.05  # replay, pool: share of negatives that start anew
pool_size = 100  # pool: problems of a seed and noise level
corruption_share = 0.05  # corrupted: share of entries set to -1
mixture = "adversarial:0.5,random:0.5"  # mixture: strategies and their shares of a batch
landscape_steps = 5  # per noise level when solving
answer_bound = 2.0  # largest absolute entry of an answer
test_problems = 200  # frozen test problems per difficulty
evaluation = "full"  # full, or scores: those of the test sets alone
test_set = 0  # number of the frozen test set; each has other problems
device = "auto"  # auto, cpu, mps, cuda or cuda:1
precision = "float32"  # of matrix products: float32, tf32 or bfloat16
compile = "auto"  # yes, no, or auto: on a GPU only
checkpoint_dir = "checkpoints"  # folder of checkpoints
resume = True  # continue from the last checkpoint of this run

# %%
from datetime import UTC, datetime

import anm

started = datetime.now(UTC)
params = anm.RunParams.from_namespace(globals())
print(params.describe())

# %% [markdown]
# ## The task
#
# Training draws fresh problems of one difficulty, `same`. The difficulty `harder` is only tested. Below: what the task
# is, and a frozen test problem of each difficulty with its answer.

# %%
from anm.report import run_figures

print(params.task_object().description())
run_figures.problems(params);

# %% [markdown]
# ## Negatives before training
#
# One answer, and the negatives of this strategy at three noise levels with untrained weights. A hard negative is a
# wrong answer with low energy. `none` has no negatives to show.

# %%
untrained = anm.untrained(params)
run_figures.negatives(untrained);

# %% [markdown]
# ## Training
#
# All seeds train at once. Each line gives means over the last window of steps: the terms of the loss, the energies
# of positives (E+) and negatives (E-), the distance of negatives from the answer, and the share of accepted landscape
# steps.

# %%
solver = anm.train(params)

# %% [markdown]
# ## Negatives after training
#
# The same answer and noise levels, with the trained weights.

# %%
run_figures.negatives(solver);

# %% [markdown]
# ## Learning curve
#
# Error of the averaged weights on frozen validation problems, one line per seed. Two references are drawn: the
# constant answer, and the best least-squares fit (`affine`: two fitted numbers, $c_0 I + c_1 A$). A solver above the
# least-squares line knows no more than a linear map does.

# %%
run_figures.learning_curve(solver);

# %% [markdown]
# ## Answers and errors
#
# Three test problems, easy to hard where the task has a condition number: a right answer, the answer of the first seed,
# and their difference.

# %%
run_figures.answers(solver);

# %% [markdown]
# ## Scores
#
# The task's score per seed on the frozen test sets, with `landscape_steps` steps per noise level; lower is better. The
# last rows are the references. `violation` is how wrong an answer is, judged without knowing a right one.

# %%
evaluation = anm.evaluate(solver)
run_figures.score_table(solver, evaluation)

# %% [markdown]
# ## Record
#
# The result as data: parameters, provenance, scores and curves. `anm.read_run("out.ipynb")` reads it.

# %%
anm.emit_record(anm.run_record(solver, evaluation, started))
