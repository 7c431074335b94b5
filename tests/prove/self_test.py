"""What must hold before anybody lets this near an account: it changes nothing else, and leaves nothing."""

import json
import os
import tempfile
import time
import unittest

import bench
import drive
import fleet
import prove
import removal
import report
import stack
from bench import Bench, CannotRun, NotOurs, OutOfBounds, State
from botocore.exceptions import ClientError
from report import entry, markdown
from rows import NOT_RUN, PROVEN, REFUTED, Row, refused, refused_for_count

EVERY = [*prove.SANDBOX, *prove.BESIDE, *drive.ROWS, *removal.ROWS]
BASE = "arn:aws:elasticloadbalancing:us-east-1:000000000000"
OURS = f"{BASE}:listener-rule/app/failover-prove-ab12/1/2/3"
THEIRS = f"{BASE}:listener-rule/app/shop/1/2/3"


def refusal(code, message=""):
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "Call")


class Clients(dict):
    """Answers every call as told, and notes it."""

    class exceptions:  # noqa: N801, as boto3 names it
        LoadBalancerNotFoundException = type("LoadBalancerNotFoundException", (ClientError,), {})

    def __init__(self, answers=None):
        super().__init__(elbv2=self, once=self, cloudwatch=self, ec2=self)
        self.answers, self.calls = answers or {}, []

    def __getattr__(self, operation):
        def call(**parameters):
            self.calls.append((operation, parameters))
            answer = self.answers.get(operation, {})
            answer = answer(**parameters) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "state.json")

    def bench(self, answers=None, made=()):
        made = [{"kind": kind, "name": name, "arn": arn} for kind, name, arn in made]
        clients = Clients(answers)
        state = State(self.path, "000000000000", "us-east-1", "ab12", made)
        return Bench(clients, state, sleep=lambda _: None), clients


class Beside(Case):
    """A stack beside the sandbox."""

    def leavings(self, answers=None):
        one, clients = self.bench(answers, made=[("bucket", "failover-prove-ab12-0", None), ("stack", "failover-prove-ab12", None)])
        clients.update(cloudformation=clients, s3=clients)
        leavings = stack.Leavings(one)
        one.by_name = (("stack", leavings.stack), ("bucket", leavings.bucket))
        return one, clients, leavings

    def test_a_stack_and_its_bucket_go_by_their_names(self):
        gone = {"describe_stacks": refusal("ValidationError"), "list_objects_v2": {"Contents": [{"Key": "a"}]}}
        one, clients, _ = self.leavings(gone)
        self.assertEqual(one.clean(), [])
        changes = [call for call, _ in clients.calls if call.startswith("delete_")]
        self.assertEqual(changes, ["delete_stack", "delete_object", "delete_bucket"])
        self.assertFalse(os.path.exists(self.path))

    def test_what_cannot_be_deleted_is_kept_and_said(self):
        stays = {"describe_stacks": {"Stacks": [{"StackStatus": "DELETE_FAILED", "StackStatusReason": "a role is used"}]}}
        one, _, _ = self.leavings(stays)
        left = one.clean()
        self.assertTrue(len(left) == 1 and "a role is used" in left[0], left)

    def test_a_stack_of_somebody_else_is_never_deleted(self):
        _, clients, leavings = self.leavings()
        for remove in (leavings.stack, leavings.bucket):
            with self.assertRaises(CannotRun):
                remove("failover")
        self.assertEqual(clients.calls, [])

    def test_a_deployment_that_fails_is_noted_before_it_begins(self):
        one, _, _ = self.leavings()
        one.state.made = []
        machine, why = stack.deploy(one, "arm64", run=lambda *_: (1, "", "a\nb\nno rights"))
        self.assertTrue(machine is None and why.endswith("no rights"), why)
        self.assertEqual([entry["kind"] for entry in one.state.made], ["bucket", "stack"])

    def test_what_a_script_has_started_ends_with_it(self):
        mark = os.path.join(os.path.dirname(self.path), "late")
        old, stack.DEPLOYED_WITHIN_SECONDS = stack.DEPLOYED_WITHIN_SECONDS, 0.3
        self.addCleanup(setattr, stack, "DEPLOYED_WITHIN_SECONDS", old)
        with self.assertRaises(CannotRun):
            stack.said_by(["sh", "-c", f"(sleep 1; touch {mark}) & wait"], {"PATH": os.environ["PATH"]})
        time.sleep(1.2)
        self.assertFalse(os.path.exists(mark))


class Guard(Case):
    def refuses(self, operation, **parameters):
        one, clients = self.bench(made=[("rule", None, OURS)])
        with self.assertRaises(NotOurs):
            one.change(operation, **parameters)
        self.assertEqual(clients.calls, [])

    def test_what_others_made_is_never_changed(self):
        self.refuses("modify_rule", RuleArn=THEIRS, Actions=[])
        self.refuses("modify_rule", RuleArn=OURS, Actions=[{"ForwardConfig": {"TargetGroups": [{"TargetGroupArn": THEIRS}]}}])
        self.refuses("add_tags", ResourceArns=[OURS, THEIRS], Tags=[])
        self.refuses("delete_load_balancer", LoadBalancerArn=THEIRS)
        self.refuses("delete_rule", RuleArn=THEIRS)
        self.refuses("create_listener", LoadBalancerArn=THEIRS)

    def test_what_names_nothing_is_never_called(self):
        self.refuses("modify_rule", Actions=[])
        self.refuses("delete_load_balancer")

    def test_names_are_of_the_run(self):
        self.refuses("create_load_balancer", Name="shop")
        self.refuses("create_target_group", Name="failover-prove-other-1")
        self.refuses("create_target_group")
        self.refuses("delete_bucket", Bucket="shop")
        self.refuses("update_stack", StackName="failover", UsePreviousTemplate=True)
        self.refuses("delete_stack")

    def test_other_operations_are_never_called(self):
        self.refuses("set_subnets", LoadBalancerArn=OURS)
        self.refuses("set_security_groups", LoadBalancerArn=OURS)

    def test_an_entry_without_the_prefix_opens_nothing(self):
        one, clients = self.bench(made=[("rule", None, THEIRS)])
        self.assertRaises(NotOurs, one.change, "modify_rule", RuleArn=THEIRS)
        self.assertEqual(clients.calls, [])

    def test_a_reading_call_changes_nothing(self):
        one, clients = self.bench()
        self.assertRaises(NotOurs, one.look, "elbv2", "delete_load_balancer", LoadBalancerArn=OURS)
        self.assertEqual(clients.calls, [])

    def test_what_was_made_may_be_changed(self):
        one, clients = self.bench(made=[("rule", None, OURS)])
        one.change("modify_rule", RuleArn=OURS)
        self.assertEqual(clients.calls, [("modify_rule", {"RuleArn": OURS})])


class Bounds(Case):
    def test_calls(self):
        one, clients = self.bench()
        for _ in range(bench.MOST_CALLS):
            one.look("elbv2", "describe_rules")
        self.assertRaises(OutOfBounds, one.look, "elbv2", "describe_rules")
        self.assertEqual(len(clients.calls), bench.MOST_CALLS)
        one.cleaning = True
        one.look("elbv2", "describe_rules")

    def test_time(self):
        one, clients = self.bench()
        one.began -= bench.MOST_SECONDS + 1
        self.assertRaises(OutOfBounds, one.look, "elbv2", "describe_rules")
        self.assertEqual(clients.calls, [])


class Cleaning(Case):
    BALANCER = ("balancer", "failover-prove-ab12", f"{BASE}:loadbalancer/app/failover-prove-ab12/1")
    GROUP = ("group", "failover-prove-ab12-1", f"{BASE}:targetgroup/failover-prove-ab12-1/1")

    def clean(self, answers, *made):
        one, clients = self.bench(answers, made)
        one.state.save()
        left = one.clean()
        return left, [name for name, _ in clients.calls if not name.startswith("describe")]

    def test_the_intention_is_noted_before_the_call(self):
        def create(**_):
            with open(self.path, encoding="utf-8") as file:
                noted.extend(json.load(file)["made"])
            return refusal("InternalFailure")

        noted = []
        one, _ = self.bench({"create_target_group": create})
        make = ("group", "create_target_group", ("TargetGroups", "TargetGroupArn"))
        self.assertRaises(ClientError, one.make, *make, Name="failover-prove-ab12-1")
        self.assertEqual(noted, [{"kind": "group", "name": "failover-prove-ab12-1", "arn": None}])

    def test_groups_go_after_their_balancer(self):
        left, calls = self.clean({}, self.GROUP, self.BALANCER)
        self.assertEqual((left, calls), ([], ["delete_load_balancer", "delete_target_group"]))
        self.assertFalse(os.path.exists(self.path))

    def test_a_group_in_use_is_waited_for(self):
        answers = iter([refusal("ResourceInUse"), refusal("ResourceInUse"), {}])
        left, calls = self.clean({"delete_target_group": lambda **_: next(answers)}, self.GROUP)
        self.assertEqual((left, calls), ([], ["delete_target_group"] * 3))

    def test_what_cannot_be_removed_stays_in_the_file(self):
        left, _ = self.clean({"delete_load_balancer": refusal("AccessDenied", "no")}, self.BALANCER, self.GROUP)
        self.assertEqual(len(left), 1)
        self.assertEqual([entry["kind"] for entry in State.read(self.path).made], ["balancer"])

    def found(self, tags):
        arn = self.GROUP[2]
        return {
            "describe_target_groups": {"TargetGroups": [{"TargetGroupArn": arn}]},
            "describe_tags": {"TagDescriptions": [{"Tags": tags}]},
        }

    def test_an_intention_is_looked_for_by_name(self):
        ours = self.found([{"Key": "failover:prove", "Value": "ab12"}])
        left, calls = self.clean(ours, (*self.GROUP[:2], None))
        self.assertEqual((left, calls), ([], ["delete_target_group"]))

    def test_without_its_tag_it_is_somebody_elses(self):
        left, calls = self.clean(self.found([]), (*self.GROUP[:2], None))
        self.assertEqual(calls, [])
        self.assertIn("not its tag", left[0])

    def test_an_intention_that_came_to_nothing(self):
        left, calls = self.clean({"describe_target_groups": refusal("TargetGroupNotFound")}, (*self.GROUP[:2], None))
        self.assertEqual((left, calls), ([], []))

    def test_a_file_that_cannot_be_read_is_named(self):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("{")
        self.assertRaisesRegex(CannotRun, "by hand", State.read, self.path)


class Verdicts(unittest.TestCase):
    def asked(self, error):
        def call():
            if error:
                raise error

        return lambda _: refused(call, {"ValidationError"}, "one")

    def verdict(self, error):
        return Row("row", "AddTags", "claim", self.asked(error)).run(None)[0]

    def test_of_refusals(self):
        self.assertEqual(self.verdict(refusal("ValidationError", "only one")), PROVEN)
        self.assertEqual(self.verdict(refusal("ValidationError", "other words")), REFUTED)
        self.assertEqual(self.verdict(refusal("RuleNotFound", "only one")), REFUTED)
        self.assertEqual(self.verdict(None), REFUTED)

    def test_no_answer_is_no_verdict(self):
        for code in ("AccessDenied", "Throttling", "ServiceUnavailable", "InvalidAction", "400"):
            self.assertEqual(self.verdict(refusal(code, "only one")), NOT_RUN)

    def test_an_answer_of_another_shape_is_no_verdict(self):
        self.assertEqual(Row("row", "AddTags", "claim", lambda _: {}["Rules"]).run(None)[0], NOT_RUN)

    def test_what_does_not_exist_may_be_looked_for_before_the_count(self):
        def ask(arns, repeated=None):
            if len(set(arns)) == 21:
                raise refusal("RuleNotFound")
            if repeated:
                raise repeated

        self.assertEqual(refused_for_count(ask, ["a/1", "a/2"], "20")[0], NOT_RUN)
        counted = refusal("ValidationError", "more than '20'")
        self.assertEqual(refused_for_count(lambda arns: ask(arns, counted), ["a/1"], "20")[0], PROVEN)

    def test_rows_have_names_of_their_own(self):
        rows = EVERY
        names = [row.name for row in rows]
        self.assertEqual(len(names), len(set(names)))
        self.assertTrue(all(row.claim.endswith(".") for row in rows))

    def test_whatever_is_not_settled_has_a_row(self):
        ledger = report.ledger()
        listed = {row.name for row in EVERY} | {row["row"] for row in report.by_hand()}
        unasked = {(row["operation"], row["claim"]) for row in report.unasked()}
        for row in ledger:
            self.assertLessEqual(set(row.get("proved_by", [])), listed, row["does"])
            asked = bool(row.get("proved_by")) or (row["operation"], row["does"]) in unasked
            self.assertTrue(asked or row["settled"] == "yes", row["does"])
        self.assertTrue(all(row["evidence"].split(";")[0] for row in report.unasked()))
        # How often and how soon is said of every service, and asked of a few.
        facts = {(row["operation"], row["does"]) for row in ledger if "about" not in row}
        self.assertLess(len(unasked & facts), len(facts) / 2)


class Report(unittest.TestCase):
    def test_a_pipe_stays_in_its_cell(self):
        rows = [entry("row", "AddTags", "a claim.", PROVEN, "a|b")]
        found = {"where": "us-east-1", "at": "today", "calls": 1, "seconds": 1, "stopped": None, "rows": rows}
        self.assertIn("| row | a claim. | proven | a\\|b |", markdown(found))


class Behind(Case):
    """The instance, and what lets requests to it."""

    NETWORKS = (("network", "failover-prove-ab12-balancer", "sg-1"), ("network", "failover-prove-ab12-instance", "sg-2"))
    INSTANCE = ("instance", "failover-prove-ab12", "i-1")

    def machine(self, answers=None, *made):
        one, clients = self.bench(answers, made)
        leavings = fleet.Leavings(one)
        one.at_last = (("instance", leavings.instance), ("network", leavings.network))
        return one, clients

    def changes(self, clients):
        return [name for name, _ in clients.calls if not name.startswith("describe")]

    def test_what_others_made_in_ec2_is_never_changed(self):
        one, clients = self.machine({}, *self.NETWORKS)
        pairs = [{"UserIdGroupPairs": [{"GroupId": "sg-of-others"}]}]
        for operation, parameters in (
            ("terminate_instances", {"InstanceIds": ["i-of-others"]}),
            ("terminate_instances", {"InstanceIds": []}),
            ("delete_security_group", {"GroupId": "sg-of-others"}),
            ("authorize_security_group_ingress", {"GroupId": "sg-1", "IpPermissions": pairs}),
            ("create_security_group", {"GroupName": "web"}),
            ("create_load_balancer", {"Name": "failover-prove-ab12", "SecurityGroups": ["sg-of-others"]}),
        ):
            self.assertRaises(NotOurs, one.change, operation, "ec2", **parameters)
        self.assertEqual(clients.calls, [])

    def test_one_small_instance_and_no_other_is_made(self):
        one, clients = self.machine({}, *self.NETWORKS)
        small = {"InstanceType": "t4g.nano", "MaxCount": 1, "NetworkInterfaces": [{"Groups": ["sg-2"]}]}
        for other in ({"MaxCount": 2}, {"InstanceType": "m7g.large"}, {"NetworkInterfaces": []}):
            self.assertRaises(NotOurs, one.change, "run_instances", "ec2", **{**small, **other})
        self.assertEqual(clients.calls, [])
        one.change("run_instances", "ec2", **small)

    def test_the_instance_goes_before_what_it_stands_in(self):
        rules = {"sg-1": [{"UserIdGroupPairs": [{"GroupId": "sg-2"}]}], "sg-2": [{"UserIdGroupPairs": [{"GroupId": "sg-1"}]}]}
        shown = lambda GroupIds: {"SecurityGroups": [{"IpPermissions": rules[GroupIds[0]]}]}  # noqa: N803, as boto3 names it
        revoke = lambda GroupId, **_: rules.update({GroupId: []})  # noqa: N803
        gone = {"Reservations": [{"Instances": [{"State": {"Name": "terminated"}}]}]}
        answers = {"describe_security_groups": shown, "revoke_security_group_ingress": revoke, "describe_instances": gone}
        one, clients = self.machine(answers, self.INSTANCE, *self.NETWORKS)
        self.assertEqual(one.clean(), [])
        self.assertEqual(
            self.changes(clients),
            ["terminate_instances", *["revoke_security_group_ingress"] * 2, *["delete_security_group"] * 2],
        )

    def test_a_network_in_use_is_waited_for(self):
        answers = iter([refusal("DependencyViolation"), {}])
        empty = {"SecurityGroups": [{"IpPermissions": []}]}
        deletes = {"describe_security_groups": empty, "delete_security_group": lambda **_: next(answers)}
        one, clients = self.machine(deletes, self.NETWORKS[0])
        self.assertEqual((one.clean(), self.changes(clients)), ([], ["delete_security_group"] * 2))

    def test_one_that_nobody_could_note_is_looked_for_by_its_tag(self):
        state = {"InstanceId": "i-7", "State": {"Name": "terminated"}}
        one, clients = self.machine({"describe_instances": {"Reservations": [{"Instances": [state]}]}}, (*self.INSTANCE[:2], None))
        self.assertEqual((one.clean(), self.changes(clients)), ([], ["terminate_instances"]))
        asked = clients.calls[0][1]["Filters"]
        self.assertIn({"Name": "tag:failover:prove", "Values": ["ab12"]}, asked)

    def test_it_ends_by_itself(self):
        said = fleet.user_data("balancer.internal", 80, ["/a", "/b"])
        self.assertTrue(said.startswith(f"#!/bin/bash\nshutdown -h +{fleet.LIVES_MINUTES}\n"), said)
        self.assertIn("balancer.internal 80 /a,/b 8081 8082", said)
        self.assertLess(len(said), 16384)
        # Longer than anything is asked, and no longer than what was said of the cost.
        self.assertGreater(fleet.LIVES_MINUTES * 60, bench.MOST_SECONDS_DRIVING)
