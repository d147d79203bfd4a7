# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Questions to the warehouse
#
# Each chart answers one question from one model of the schema `answers`. `make warehouse` runs this notebook on your export. To change
# it, edit `deploy/warehouse/questions.py`, or open that file in Jupyter with Jupytext.

# %%
import os
from base64 import b64encode
from io import BytesIO

import duckdb
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML, display
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

plt.rcParams.update(
    {
        "figure.figsize": (9, 4),
        "figure.dpi": 110,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.axisbelow": True,
    }
)
BLUE, RED, GREY, GREEN = "#2b6cb0", "#c53030", "#a0aec0", "#2f855a"

warehouse = duckdb.connect(os.environ["MAKEGOOD_WAREHOUSE"], read_only=True)
warehouse.execute("SET TimeZone = 'UTC'")


def ask(question: str) -> pd.DataFrame:
    """The answer to a question in SQL."""
    return warehouse.execute(question).df()


def empty(axes: plt.Axes, why: str) -> None:
    """Says on the chart why there is nothing to see."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes, color="grey")


def show(figure: Figure, about: str) -> None:
    """Shows a chart, with a text for those who cannot see it."""
    figure.tight_layout()
    image = BytesIO()
    figure.savefig(image)
    plt.close(figure)
    display(HTML(f'<img alt="{about}" src="data:image/png;base64,{b64encode(image.getvalue()).decode()}">'))


def short(name: str) -> str:
    """A name that fits beside an axis."""
    return name if len(name) <= 18 else f"…{name[-17:]}"


ask("""
    SELECT
        strftime(as_of, '%Y-%m-%d %H:%M UTC') AS "as of",
        (SELECT count(*) FROM marts.fct_sessions) AS sessions,
        (SELECT count(*) FROM marts.dim_members) AS members,
        (SELECT count(*) FROM marts.dim_providers) AS providers,
        (SELECT count(*) FROM marts.fct_credit_movements) AS "movements of credits"
    FROM marts.as_of
""").style.hide(axis="index").format(thousands=",")

# %% [markdown]
# ## How often do providers miss sessions, and at which hour?
# Of the sessions that took place or should have. The lines show within which bounds the rate lies with 95 % certainty: few sessions say
# little. Hours are in the time zone in which the session was booked.

# %%
by_provider = ask("""
    SELECT provider_id, sum(due_sessions)::int AS due, sum(missed_sessions)::int AS missed, missed / due AS rate
    FROM answers.missed_sessions_by_provider_and_hour GROUP BY provider_id
""")
by_hour = ask("""
    SELECT local_hour, sum(due_sessions)::int AS due, sum(missed_sessions)::int AS missed, missed / due AS rate
    FROM answers.missed_sessions_by_provider_and_hour GROUP BY local_hour ORDER BY local_hour
""")


def bounds(rows: pd.DataFrame) -> list[pd.Series]:
    """How far the 95 % bounds (Wilson) are below and above each rate."""
    n, p = rows.due, rows.rate
    middle, width = (
        (p + 1.9208 / n) / (1 + 3.8416 / n),
        1.96 * (p * (1 - p) / n + 0.9604 / n**2) ** 0.5 / (1 + 3.8416 / n),
    )
    return [(p - middle + width).clip(lower=0), (middle + width - p).clip(lower=0)]


figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), sharex=False)
if by_provider.empty:
    empty(left, "No session has taken place yet.")
    empty(right, "")
else:
    top = by_provider.sort_values(["rate", "due"], ascending=[False, False]).head(12).iloc[::-1]
    left.barh([short(each) for each in top.provider_id], top.rate, xerr=bounds(top), color=RED, ecolor=GREY)
    left.set(title="Providers with the highest rates", xlabel="share of sessions that were missed", ylabel="provider")
    left.xaxis.set_major_formatter(PercentFormatter(1))
    right.bar(by_hour.local_hour, by_hour.rate, yerr=bounds(by_hour), color=RED, ecolor=GREY)
    right.set(
        title="By hour of the start",
        xlabel="hour of the day (session's zone)",
        ylabel="share of sessions that were missed",
    )
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.yaxis.set_major_formatter(PercentFormatter(1))
    total = by_provider.missed.sum() / by_provider.due.sum()
    figure.suptitle(f"Missed sessions: {by_provider.missed.sum():,} of {by_provider.due.sum():,} ({total:.1%})")
show(figure, "Missed sessions by provider and by hour")

# %% [markdown]
# ## How soon is a missed session made good?
# From the moment at which the miss is published to the returned credit (or the voided co-pay) and to the e-mail to the member, and the days
# until the member meets a provider again.

# %%
good = ask("SELECT * FROM answers.time_to_make_good")
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
for column, label, color in (
    ("seconds_to_credit", "credit returned", BLUE),
    ("seconds_to_email", "e-mail handed over", GREEN),
):
    seconds = good[column].dropna().clip(lower=0.001).sort_values()
    if len(seconds):
        shares = [(at + 1) / len(seconds) for at in range(len(seconds))]
        left.step(seconds, shares, where="post", color=color, label=f"{label}, median {seconds.median():.3g} s")
if good.seconds_to_credit.notna().any():
    left.set(
        title="Since the miss was published",
        xlabel="seconds (logarithmic)",
        ylabel="share of missed sessions",
        xscale="log",
        ylim=(0, 1.02),
    )
    left.xaxis.set_major_formatter("{x:g}")
    left.yaxis.set_major_formatter(PercentFormatter(1))
    left.legend(loc="lower right", fontsize=8)
else:
    empty(left, "No session was missed.")
days = good.days_to_next_session.dropna()
if len(days):
    right.hist(days, bins=range(int(days.max()) + 2), color=BLUE)
    right.axvline(days.median(), color=RED, label=f"median {days.median():.1f} days")
    right.set(
        title="Until the next completed session", xlabel="days since the missed session", ylabel="missed sessions"
    )
    right.yaxis.set_major_locator(MaxNLocator(integer=True))
    right.legend()
else:
    empty(right, "Nobody has had a session after a missed one yet.")
not_yet = int((~good.is_made_good).sum())
figure.suptitle(f"{len(good):,} missed sessions; {not_yet} not made good")
show(figure, "Time from a missed session to the credit, the e-mail and the next session")

# %% [markdown]
# ## How much of the published hours is used?
# Offered are the published hours without time off. Booked time is that of sessions that were not cancelled; attended time is that of
# completed sessions. The week that is not over yet is left out.

# %%
weeks = ask("""
    SELECT week, sum(offered_hours) AS offered, sum(booked_hours) AS booked, sum(attended_hours) AS attended
    FROM answers.utilisation_by_week WHERE week + 7 <= (SELECT as_of FROM marts.as_of)::date GROUP BY week ORDER BY week
""")
grid = ask("""
    SELECT local_weekday, local_hour, sum(booked_minutes) / sum(offered_minutes) AS used
    FROM marts.fct_published_hours
    WHERE ends_at <= (SELECT as_of FROM marts.as_of) GROUP BY ALL HAVING sum(offered_minutes) > 0
""")
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2))
if weeks.empty:
    empty(left, "No provider has had published hours for a whole week yet.")
    empty(right, "")
else:
    left.fill_between(weeks.week, weeks.offered, color=GREY, alpha=0.4, label="offered")
    left.plot(weeks.week, weeks.booked, color=BLUE, label="booked")
    left.plot(weeks.week, weeks.attended, color=GREEN, label="attended")
    left.set(title="All providers, by week", xlabel="week that begins on", ylabel="hours in the week", ylim=(0, None))
    left.legend()
    left.tick_params("x", rotation=30)
    table = grid.pivot(index="local_weekday", columns="local_hour", values="used").reindex(range(1, 8))
    shown = right.imshow(table, aspect="auto", cmap="Blues", vmin=0, vmax=max(0.01, float(grid.used.max())))
    right.set(title="By weekday and hour", xlabel="hour of the day (provider's zone)", ylabel="")
    right.set_xticks(range(len(table.columns)), table.columns, fontsize=7)
    right.set_yticks(range(7), ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    right.grid(visible=False)
    figure.colorbar(shown, ax=right, format=PercentFormatter(1), label="booked share of the offered time")
    share = weeks.booked.sum() / max(weeks.offered.sum(), 1e-9)
    figure.suptitle(f"{share:.1%} of the offered hours were booked")
show(figure, "Offered, booked and attended hours by week, and the booked share by weekday and hour")

# %% [markdown]
# ## Which credits are about to lapse?
# Credits that lapse within 30 days unless they are used. Credits that are held for a session do not lapse.

# %%
lapsing = ask(
    "SELECT floor(days_left)::int AS days, coalesce(plan_kind, 'no plan') AS plan, sum(credits) AS credits FROM answers.credits_about_to_lapse GROUP BY ALL"
)
figure, axes = plt.subplots()
if lapsing.empty:
    empty(axes, "No credit is about to lapse.")
else:
    table = lapsing.pivot(index="days", columns="plan", values="credits").reindex(range(31)).fillna(0)
    table.columns = [name.replace("_", " ") for name in table.columns]
    table.plot.bar(stacked=True, width=0.9, ax=axes, rot=0)
    members = ask("SELECT count(DISTINCT member_id) FROM answers.credits_about_to_lapse").iloc[0, 0]
    axes.set(
        title=f"{int(lapsing.credits.sum()):,} credits of {members:,} members lapse within 30 days",
        xlabel="days from now",
        ylabel="credits",
    )
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(title="plan")
show(figure, "Credits that lapse, by the days that are left")

# %% [markdown]
# ## Which demand on waitlists could have been met?
# A member waited, and a slot of the right length opened in the time that they waited for, but they did not get it.

# %%
demand = ask("SELECT demand, count(*) AS entries FROM answers.waitlist_demand GROUP BY demand")
order = ["met", "offered, not taken", "could have been met", "no slot opened", "still waiting"]
figure, axes = plt.subplots(figsize=(9, 3.2))
if demand.empty:
    empty(axes, "Nobody has joined a waitlist.")
else:
    counts = demand.set_index("demand").entries.reindex(order).fillna(0).astype(int).iloc[::-1]
    bars = axes.barh(
        counts.index, counts, color=[RED if name == "could have been met" else BLUE for name in counts.index]
    )
    axes.bar_label(bars, padding=3)
    could, total = int(counts["could have been met"]), int(counts.sum())
    axes.set(title=f"{could} of {total} waits ended in vain although a slot opened", xlabel="waits", ylabel="")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
show(figure, "What became of the demand on waitlists")

# %% [markdown]
# ## How likely is a no-show?
# The risk of each session counts what was known before it: the member's earlier no-shows, and those of sessions with the same notice and
# time of day, drawn towards everybody's share where there are few. On the left, sessions that are over, in five groups by their risk:
# the risk means something if the dots are near the line. On the right, the sessions ahead.

# %%
risk = ask("SELECT * FROM answers.no_show_risk")
past, ahead = risk[~risk.is_ahead], risk[risk.is_ahead]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
if len(past) < 50:
    empty(left, f"{len(past)} sessions are too few to check the risk (50 are needed).")
else:
    fifths = past.groupby(pd.qcut(past.risk.rank(method="first"), 5)).agg(
        said=("risk", "mean"), was=("came_true", "mean"), n=("risk", "size")
    )
    most = 1.1 * max(fifths.said.max(), fifths.was.max(), 0.01)
    left.plot([0, most], [0, most], color=GREY, linestyle="--", label="as said")
    left.plot(fifths.said, fifths.was, "o-", color=BLUE, label=f"a fifth of the sessions ({int(fifths.n.mean()):,})")
    left.set(
        title="Was the risk right?",
        xlabel="risk, as said before the session",
        ylabel="share of members who did not come",
        xlim=(0, most),
        ylim=(0, most),
    )
    left.xaxis.set_major_formatter(PercentFormatter(1))
    left.yaxis.set_major_formatter(PercentFormatter(1))
    left.legend()
if ahead.empty:
    empty(right, "No session is ahead.")
else:
    right.hist(ahead.risk, bins=20, color=BLUE)
    right.set(
        title=f"{len(ahead):,} sessions ahead, {ahead.risk.sum():.1f} no-shows expected",
        xlabel="risk of a no-show",
        ylabel="sessions",
    )
    right.xaxis.set_major_formatter(PercentFormatter(1))
    right.yaxis.set_major_locator(MaxNLocator(integer=True))
show(figure, "How right the no-show risk was, and the risk of the sessions ahead")
