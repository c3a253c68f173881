# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One run: an energy learns to invert matrices
#
# **Question.** An energy-based diffusion model gives every candidate inverse $x$ of a matrix $A$ an energy, and
# answers by descending it. Does it answer better when, while it learns, it is also shown *negatives*: wrong
# answers whose energy it must raise? This notebook trains one stack of seeds with one strategy for
# choosing the negatives, scores it on frozen problems, and stores the result in its own last output.
#
#     papermill notebooks/train.ipynb out.ipynb -p strategy adversarial
#
# ## Parameters
#
# `strategy` says where negatives come from: `none` has none, `random` takes random matrices, `adversarial`
# descends the energy from a noised answer, to find what is wrong but looks right. README explains the rest.

# %% tags=["parameters"]
strategy = "adversarial"
energy = "mlp"
n = 20
noise_levels = 10
train_steps = 500
batch_size = 64
learning_rate = 1e-3
seeds = "0-2"
mining_opt_steps = 2
mining_noise_scale = 3.0
contrastive_weight = 0.5
contrastive_warmup = 0
mining_levels = "all"
false_negative_residual = 0.0
candidates = 8
ball_radius = 0.1
langevin_noise = 1.0
replay_size = 10000
replay_fresh = 0.05
mixture = "adversarial:0.5,random:0.5"
landscape_steps = 5
answer_bound = 2.0
test_problems = 200
device = "auto"
precision = "float32"
compile = "auto"
checkpoint_dir = "checkpoints"
resume = True

# %%
from datetime import datetime, timezone

import anm

started = datetime.now(timezone.utc)
params = anm.RunParams.from_namespace(globals())
print(params.describe())

# %% [markdown]
# ## The task
#
# A problem is $A = 2RR^\top + cI$ with $R$ uniform on $[-1, 1]$, and its answer is $X = A^{-1}$. Training draws
# fresh problems with $c = 0.5$ (*same*); *harder* ones have $c = 0.1$: closer to singular, with larger entries in
# the inverse. Here are two frozen test problems. Only the diagonal of an inverse stands out; the rest is
# small, which is why guessing the average inverse already looks good.

# %%
from anm import pictures

pictures.problems(params.n);

# %% [markdown]
# ## What this strategy's negatives look like, before training
#
# One answer, and the negatives that the strategy makes of it at three noise levels with untrained weights. A hard
# negative is near the answer in energy and yet wrong. (`none` makes none.)

# %%
untrained = anm.untrained(params)
pictures.negatives(untrained);

# %% [markdown]
# ## Training
#
# All seeds train side by side. Each line gives means over the last window of steps: the terms of the loss, the
# energies of positives and negatives, how far negatives are from the answer, and the share of landscape steps kept.

# %%
solver = anm.train(params)

# %% [markdown]
# The same negatives again, now that the energy has learnt.

# %%
pictures.negatives(solver);

# %% [markdown]
# ## Learning curve
#
# MSE of the averaged weights on frozen problems outside the test sets, one line a seed. A constant answer and an
# affine one (two numbers fitted) are drawn beside it: below the affine line, the network knows more than a line does.

# %%
pictures.learning(solver);

# %% [markdown]
# ## Answers and errors
#
# Three test problems, easy to hard: the exact inverse, the answer of the first seed, and what is wrong with it.

# %%
pictures.answers(solver);

# %% [markdown]
# ## Scores
#
# Mean squared error on the frozen test sets, per seed, with 5 landscape steps a level unless set otherwise.

# %%
evaluation = anm.evaluate(solver)
pictures.scores(solver, evaluation)

# %% [markdown]
# ## Record
#
# The result as data: parameters, scores, curves, and where they come from. `anm.read_run("out.ipynb")` reads it back.

# %%
anm.emit_record(anm.run_record(solver, evaluation, started))
