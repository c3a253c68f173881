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
# Strategy and task
strategy = "adversarial"  # where negatives come from: none, random, adversarial, ... or module:function
energy = "mlp"  # the network that computes the energy: mlp, bilinear, residual, or module:Class
task = "inverse"  # inverse, addition, completion, square_root, square_root_many, connectivity, or module:Class
n = 20  # side of the matrices, or number of nodes; larger problems are harder to learn
width = 512  # of the hidden layers of mlp; a wider network learns more per step, and a step costs more
completion_rank = 10  # task completion: rank of the matrices, before noise; a higher rank is harder to complete

# Training
noise_levels = 10  # number of noise levels T between an answer and pure noise
train_steps = 2500  # optimiser steps, unless budget_steps is given
budget_steps = 0  # train for the compute of so many steps of none, so that strategies compare; 0: train_steps
budget_points = "1"  # shares of the training at which the run is also scored: 0.25,0.5,1
batch_size = 64  # fresh problems per step and seed
learning_rate = 1e-3  # of Adam; the largest one, if it changes. Too large a rate diverges, too small a one is slow
schedule = "constant"  # of the learning rate: constant, cosine, or wsd (warm-up, stable, decay: the lowest errors)
least_noise = 1.0  # the denoising noise of a row is scaled by a number uniform from this to 1; 0: any strength
seeds = "0"  # one number, or several that train together, each as if alone: 0-7 or 0,2,5. A claim takes six

# Negatives
mining_opt_steps = 2  # landscape steps from the start to the negative; more steps find lower energies and cost more
mining_noise_scale = 3.0  # noise of that start, in units of the noise of its level; less starts nearer to the answer
contrastive_weight = 0.5  # weight of the loss of negatives; the denoising loss has weight 1
negative_loss = "contrastive"  # contrastive: raise their energy; denoising: their gradient points to the answer
negative_share = 1.0  # share of the rows of a batch that get a negative; fewer cost less
contrastive_warmup = 0  # steps over which that weight rises from 0
contrast_noise = "own"  # noise on answer and negative in the loss: own, denoising (that of the denoising loss), none
contrast_scale = "none"  # gap: divide energies by the mean gap of their noise level, so that the loss cannot saturate
mining_levels = "all"  # noise levels whose negatives count: all or 0-4
false_negative_residual = 0.0  # negatives with a smaller residual count as right answers and are left out; 0: none are

# Negatives of single strategies
target_hardness = 0.25  # calibrated: probability that the contrast gives to a negative; 0.5 is as low as the answer
candidates = 8  # hardest_of_k: answers to choose from; more are harder
ball_radius = 0.1  # pgd: largest RMS distance from the answer
langevin_noise = 1.0  # langevin, replay: noise of a step, 1 for Langevin dynamics, 0 for plain descent
replay_size = 10000  # replay: negatives in the buffer of a seed
replay_fresh = 0.05  # replay, pool: share of negatives that start anew
pool_size = 100  # pool: problems of a seed and noise level; a small pool is descended further
corruption_share = 0.05  # corrupted: share of entries set to -1
mixture = "adversarial:0.5,random:0.5"  # mixture: strategies and their shares of a batch

# Solving and scoring
landscape_steps = 5  # per noise level when solving; more descend the energy further
answer_bound = 2.0  # largest absolute entry of an answer; a bound that cuts off right answers is warned of
test_problems = 200  # frozen test problems per difficulty; more give a smaller standard error
evaluation = "full"  # full, or scores: those of the test sets alone, which is faster
test_set = 0  # number of the frozen test set; each has other problems

# Machine
device = "auto"  # auto (a GPU if there is one), cpu, mps, cuda or cuda:1
precision = "float32"  # of matrix products on a GPU: float32, tf32 or bfloat16 (faster, and less exact)
compile = "auto"  # the energy and the step: yes, no, or auto: on a GPU only
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
from anm.report import run_figures, run_words

print(params.task_object().description())
run_figures.problems(params);

# %% [markdown]
# *How to read it.* Each row is one problem beside its answer, each with its own colour scale: red entries are positive,
# blue ones negative. An answer with a few large entries is harder to find than one with entries of one size.
#
# ## Negatives before training
#
# One answer, and the negatives of this strategy at three noise levels with untrained weights. A hard negative is a
# wrong answer with low energy.

# %%
untrained = anm.untrained(params)
run_figures.negatives(untrained);

# %% [markdown]
# *How to read it.* All pictures share one colour scale. A useful negative differs from the answer, but not beyond
# recognition. With untrained weights energies say nothing yet. `none` has no negatives: only the answer is shown.
#
# ## Training
#
# All seeds train at once. The curve is the error of the averaged weights on frozen validation problems, drawn again
# while the training runs. Each line of the log gives means over the last window of steps: the terms of the loss, the
# energies of positives (E+) and negatives (E-), the distance of negatives from the answer, and the share of accepted
# landscape steps.

# %%
solver = anm.train(params, watch=run_figures.LiveCurve())

# %% [markdown]
# *How to read it.* One line per seed; lower is better. Two references are drawn: the constant answer, and the best
# answer that is linear in the problem (`affine` for inversion: two fitted numbers, $c_0 I + c_1 A$). A solver above the
# lower line knows no more than a linear map does. A curve that still falls has not finished. In the log, E+ below E-
# means that the energy tells answers from negatives.
#
# ## Negatives after training
#
# The same answer and noise levels, with the trained weights.

# %%
run_figures.negatives(solver);

# %% [markdown]
# *How to read it.* Compare each energy with that of the answer in brackets. A negative far above it is easy: the loss
# has nothing to teach there. One near it, or below, is hard. One that looks like the answer may be right, and would
# teach something false. At the top noise level the noise hides the answer, so negatives say little there.
#
# ## Answers and errors
#
# Three test problems, easy to hard where the task has a condition number: a right answer, the answer of the first seed,
# and their difference.

# %%
run_figures.answers(solver);

# %% [markdown]
# *How to read it.* Each row has one colour scale. A pale difference is a small error. Where the difference looks like
# the answer itself, the solver gives little more than the mean answer.
#
# ## Scores
#
# The task's score per seed on the frozen test sets, with `landscape_steps` steps per noise level; lower is better.
# `violation` is how wrong an answer is, judged without knowing a right one.

# %%
evaluation = anm.evaluate(solver)
run_figures.score_table(solver, evaluation)

# %% [markdown]
# *How to read it.* The last rows are the references. Only a score well below the last of them shows that the network
# has learnt something a linear map cannot do. Seeds that differ by more than their standard errors differ by training.
#
# ## Conclusion and record
#
# First in words. Then the result as data: parameters, provenance, scores and curves, which
# `anm.read_run("out.ipynb")` reads.

# %%
print(run_words.conclusion(solver, evaluation))
anm.emit_record(anm.run_record(solver, evaluation, started))
