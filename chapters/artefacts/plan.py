"""Say what a plan takes away, before somebody executes it.

`changes` is what CloudFormation's DescribeChangeSet answers under "Changes": a list of
{"ResourceChange": {...}}. A change may delete a resource, or replace it, which is to make a
new one of that name and then to delete the old or to leave it behind.
"""


def takes_away(changes):
    """{resource: what becomes of it} for each resource that a change set deletes, replaces or
    may replace; what is changed in place is not listed."""
    found = {}
    for change in (one["ResourceChange"] for one in changes):
        policy = change.get("PolicyAction", "Delete")
        old = {"Retain": "stays, outside the stack", "Snapshot": "leaves a snapshot"}
        fate = next((what for word, what in old.items() if policy.endswith(word)), "is deleted")
        if change["Action"] == "Remove":
            found[change["LogicalResourceId"]] = fate
        elif change["Action"] == "Dynamic" or change.get("Replacement", "False") != "False":
            may = "" if change.get("Replacement") == "True" else "may be "
            found[change["LogicalResourceId"]] = f"{may}replaced by an empty one; the old {fate}"
    return found
