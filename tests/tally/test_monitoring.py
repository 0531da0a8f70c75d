"""What is counted is what happened, and each alarm rings when it must and only then."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from conftest import ROOT
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tally import health
from tally.decision import BLIND_LIMIT, CUTOFF, fallback
from tally.decision_log import CHANNELS, GOODS, Decision, line, read
from tally.metrics import BUCKETS, Instruments

TALLY = ROOT / "tally"
RULES = (TALLY / "alerts.yml").read_text()


# One line per decision

BY_MODEL = {
    "application_id": 33021,
    "at": "2024-12-13T16:59:07+00:00",
    "channel": "till",
    "merchant_category": "toys",
    "source": "model",
    "outcome": "approved",
    "model": "champion-12",
    "score": 0.83,
    "cutoff": CUTOFF,
    "features_at": "2024-12-13T03:10:00+00:00",
    "reason": None,
    "seconds": 0.041,
}
BY_FALLBACK = BY_MODEL | {
    "source": "fallback",
    "score": None,
    "cutoff": None,
    "features_at": None,
    "reason": "no history",
    "seconds": 0.006,
}


@pytest.mark.parametrize("decision", [BY_MODEL, BY_FALLBACK], ids=["model", "fallback"])
def test_a_decision_is_one_line_and_comes_back(decision):
    text = line(Decision(**decision))
    assert "\n" not in text
    assert list(read([text])) == [Decision(**decision)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "rules"}, "unknown"),
        ({"outcome": "maybe"}, "unknown"),
        ({"score": None}, "has a score"),
        ({"features_at": None}, "age of its features"),
        ({"reason": "too late"}, "has a score"),
        ({"outcome": "declined"}, "not what score and cut-off say"),
        ({"source": "fallback"}, "no score"),
        ({"source": "fallback", "score": None}, "says why"),
        ({"source": "fallback", "score": None, "reason": "KeyError: customer 4711"}, "says why"),
        ({"merchant_category": "garden"}, "shop unknown"),
    ],
)
def test_a_line_that_contradicts_itself_is_not_written(change, said):
    with pytest.raises(ValueError, match=said):
        Decision(**BY_MODEL | change)


@pytest.mark.parametrize(
    "broken", ['{"application_id": 1}', "approved", line(Decision(**BY_MODEL))[:-9], "[]"]
)
def test_a_broken_line_is_named_by_its_number(broken):
    with pytest.raises(ValueError, match="line 2"):
        list(read([line(Decision(**BY_MODEL)), broken]))


def test_the_log_holds_nothing_personal(applications):
    personal = {"customer_id", "income", "age_group", "region", "tenure_days", "late_180d", "open_balance"}
    assert personal <= set(applications.columns)
    assert not personal & set(Decision.__dataclass_fields__)


# The instruments, read as Prometheus reads them


def exposed(registry):
    """{(name, labels): value} of the exposition."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def total(samples, **labels):
    return sum(
        value
        for (name, have), value in samples.items()
        if name == "tally_decisions_total" and labels.items() <= dict(have).items()
    )


def test_every_series_is_there_before_the_first_decision():
    registry = CollectorRegistry()
    Instruments(registry)
    series = [key for key in exposed(registry) if key[0] == "tally_decisions_total"]
    assert len(series) == len(CHANNELS) * len(GOODS) * 4
    assert total(exposed(registry)) == 0


def test_what_is_counted_is_what_the_log_says(applications):
    day = applications[applications.applied_at.dt.strftime("%Y-%m-%d") == "2024-12-14"]
    lines = [
        line(
            Decision(
                **BY_FALLBACK
                | {
                    "application_id": row.application_id,
                    "channel": row.channel,
                    "merchant_category": row.merchant_category,
                    "outcome": "approved" if fallback(row.basket, None) else "declined",
                }
            )
        )
        for row in day.itertuples()
    ]
    registry = CollectorRegistry()
    instruments = Instruments(registry)
    for decision in read(lines):
        instruments.count(decision)
    samples = exposed(registry)
    assert total(samples) == total(samples, source="fallback") == len(day) > 100
    assert total(samples, outcome="approved") == (day.basket <= BLIND_LIMIT).sum()
    assert (
        total(samples, channel="till", merchant_category="toys")
        == ((day.channel == "till") & (day.merchant_category == "toys")).sum()
    )
    assert samples["tally_decision_seconds_count", (("source", "fallback"),)] == len(day)


def test_the_counters_know_all_channels_and_goods_that_exist(applications):
    assert set(CHANNELS) == set(applications.channel.unique())
    assert set(GOODS) == set(applications.merchant_category.unique())


def test_the_histogram_can_tell_the_tills_patience():
    registry = CollectorRegistry()
    instruments = Instruments(registry)
    instruments.count(Decision(**BY_MODEL | {"seconds": 3.2}))
    samples = exposed(registry)
    assert BUCKETS[-1] == 3
    assert samples["tally_decision_seconds_bucket", (("le", "3.0"), ("source", "model"))] == 0
    assert samples["tally_decision_seconds_bucket", (("le", "+Inf"), ("source", "model"))] == 1
    assert samples["tally_features_timestamp_seconds", ()] == 1734059400, (
        "10 past 3 on 13 December 2024, in UTC"
    )


# Health


def test_on_the_green_weekend_the_third_question_says_no():
    known = {"application": {"basket": 68.87}, "score": 0.83}

    def by_fallback(application):
        return {"source": "fallback", "score": None}

    assert health.deciding(by_fallback, known) == "decided by the fallback"


def test_a_stale_model_and_a_dead_service_do_not_decide_well():
    known = {"application": {}, "score": 0.83}
    assert health.deciding(lambda _: {"source": "model", "score": 0.83}, known) == ""
    assert "released with 0.830" in health.deciding(lambda _: {"source": "model", "score": 0.79}, known)
    assert health.deciding(lambda _: 1 / 0, known) == "no answer: ZeroDivisionError"


# The rules


def promtool(*arguments):
    program = shutil.which("promtool")
    if not program:
        pytest.skip("no promtool found: on Debian or Ubuntu, apt install prometheus")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)


def tried(rules, tmp_path):
    (tmp_path / "alerts.yml").write_text(rules)
    shutil.copy(TALLY / "alerts_test.yml", tmp_path)
    return promtool("test", "rules", tmp_path / "alerts_test.yml")


def alerts():
    rules = [rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]]
    return [rule for rule in rules if "alert" in rule]


def test_the_rules_are_well_formed():
    done = promtool("check", "rules", TALLY / "alerts.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_rings_when_it_must_and_only_then(tmp_path):
    done = tried(RULES, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


MUTATIONS = {
    "absent removed": ("absent(tally_decisions_total)", "tally_decisions_total == 0"),
    "absent of another name": ("absent(tally_decisions_total)", "absent(tally_decisions)"),
    "absent at once": ("for: 10m", "for: 0m"),
    "absent an hour late": ("for: 10m", "for: 1h"),
    "page an hour late": ("keep_firing_for: 1h", "for: 1h"),
    "page ends between two shoppers": ("keep_firing_for: 1h", "keep_firing_for: 5m"),
    "two are enough": ("tally:fallbacks:increase6h > 2.5", "tally:fallbacks:increase6h > 1.5"),
    "a threshold of everything": ("0.06 * tally:decisions:increase6h", "1.06 * tally:decisions:increase6h"),
    "no threshold": ("0.06 * tally:decisions:increase6h", "0.0006 * tally:decisions:increase6h"),
    "over for hours and still ringing": ("0.06 * tally:decisions:increase1h", "-1 + 0 * tally:decisions:increase1h"),
    "the model in place of the fallback": ('source="fallback"}[6h]', 'source="model"}[6h]'),
    "the leak at three per cent": ("0.01 * tally:decisions:increase3d", "0.05 * tally:decisions:increase3d"),
    "the leak after four": ("increase3d > 11.5", "increase3d > 3.5"),
    "chains in one sum": ("sum by (channel, merchant_category) (\n            increase(tally_decisions_total{source=\"fallback\"}[1d])\n          ) > 2.5", "sum(\n            increase(tally_decisions_total{source=\"fallback\"}[1d])\n          ) > 2.5"),
    "a chain at its first fallback": (") > 2.5", ") > 0.5"),
    "silence at night": ("hour() >= 13 < 18", "hour() >= 0 < 24"),
    "silence never": ("increase2h == 0", "increase2h < 0"),
    "the ninth of ten is the first": ("histogram_quantile(0.9,", "histogram_quantile(0.1,"),
    "three slow ones are a tail": ("[1h])) > 9.5", "[1h])) > 2.5"),
    "slow at half a second": (") > 0.25", ") > 0.6"),
    "the fallback flatters the model": ('sum by (le) (increase(tally_decision_seconds_bucket{source="model"}', "sum by (le) (increase(tally_decision_seconds_bucket{"),
    "model never old": ("40 * 86400", "400 * 86400"),
    "model always old": ("40 * 86400", "4 * 86400"),
    "features of a night in which nobody asks": (" > 26 * 3600\n          and tally:by_model:increase1h > 0", " > 26 * 3600"),
    "features asked of the fallback": ("and tally:by_model:increase1h > 0", "and tally:decisions:increase1h > 0"),
    "features never old": ("26 * 3600", "260 * 3600"),
    "nobody is named": ("team: data}", "team: models}"),
    "a ticket that pages": ("labels: {severity: ticket, team: decisions}\n        annotations:\n          summary: More", "labels: {severity: page, team: decisions}\n        annotations:\n          summary: More"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_rules_that_were_changed_for_the_worse_fail_their_test(name, tmp_path):
    old, new = MUTATIONS[name]
    assert RULES.count(old) == 1, "the mutation must change one thing"
    done = tried(RULES.replace(old, new), tmp_path)
    assert done.returncode != 0 and "FAILED" in done.stdout + done.stderr


def test_each_alert_is_tested_both_ways():
    text = yaml.safe_load((TALLY / "alerts_test.yml").read_text())
    cases = [case for test in text["tests"] for case in test["alert_rule_test"]]
    for alert in alerts():
        rung = {bool(case.get("exp_alerts")) for case in cases if case["alertname"] == alert["alert"]}
        assert rung == {True, False}, alert["alert"]


def test_an_alert_says_who_comes_whether_at_night_and_what_to_do():
    runbook = (TALLY / "pages" / "runbook.md").read_text()
    sections = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", runbook, re.M)}
    for alert in alerts():
        page, _, section = alert["annotations"]["runbook"].partition("#")
        assert page == "tally/pages/runbook.md" and section in sections
        assert section == alert["alert"].lower()
        assert set(alert["labels"]) == {"severity", "team"}
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert alert["annotations"]["summary"]


# What is drawn, and who is told


def test_the_dashboard_shows_what_the_service_exports_and_names_alerts_that_exist(tmp_path):
    panels = json.loads((TALLY / "dashboard.json").read_text())["panels"]
    registry = CollectorRegistry()
    Instruments(registry)
    names = {family.name for family in registry.collect()} | {"up"}
    rules = {"groups": [{"name": "dashboard", "rules": []}]}
    for panel in panels:
        [target] = panel["targets"]
        expr = target["expr"].replace("$__rate_interval", "1m")
        rules["groups"][0]["rules"].append({"record": f"panel:{panel['id']}", "expr": expr})
        read = {re.sub(r"_(total|bucket)$", "", name) for name in re.findall(r"\btally_\w+|\bup\b", expr)}
        assert read and read <= names, panel["title"]
        assert set(panel["description"].split(", ")) <= {alert["alert"] for alert in alerts()}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    done = promtool("check", "rules", tmp_path / "rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len({json.dumps(panel["gridPos"]) for panel in panels}) == len(panels) == 4


def test_prometheus_reads_its_settings_and_asks_the_port_of_the_service():
    done = promtool("check", "config", TALLY / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    [job] = yaml.safe_load((TALLY / "prometheus.yml").read_text())["scrape_configs"]
    [target] = job["static_configs"][0]["targets"]
    assert f"EXPOSE {target.partition(':')[2]}\n" in (TALLY / "Containerfile").read_text()


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=page", "team=decisions"], "pager"),
        (["severity=ticket", "team=data"], "tickets"),
        (["alertname=Unheard"], "tickets"),
    ],
)
def test_an_alert_reaches_whom_its_labels_name(labels, receiver):
    if not (program := shutil.which("amtool")):
        pytest.skip("no amtool found: on Debian or Ubuntu, apt install prometheus-alertmanager")
    command = [program, "config", "routes", "test", f"--config.file={TALLY / 'alertmanager.yml'}", *labels]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == receiver, done.stdout + done.stderr
