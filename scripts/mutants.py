"""Slips that somebody could make in a solution: `mutants(source)`, each with what was changed.

Comparisons turned or off by one, constants moved, terms and conditions dropped, arguments ignored, results of the
wrong sign or forgotten, statements and branches left out, an argument changed in place, a twin taken for its sister
(the lowest for the highest, the last for the first). A change in place does nothing to a number: `SPOILED` tells
in the kernel that ran the mutant whether there was anything to change.
"""

import ast
import copy

NEAR = {
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.GtE],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}
SWAPPED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
PAIRS = (
    "min max, any all, first last, head tail, isf ppf, sf cdf, left right, sum mean, floor ceil, maximum minimum, "
    "nlargest nsmallest, cummax cummin, idxmax idxmin, argmax argmin, greater less, mean median, std var"
)
TWINS = {one: other for pair in PAIRS.split(", ") for one, other in [pair.split(), pair.split()[::-1]]}
SPOILED = "getattr(globals().get('spoil'), 'done', False)"
SPOIL = '''
def spoil(value):
    """Change `value` in place, whatever it is."""
    if type(value).__name__ in ("Series", "DataFrame"):
        value.iloc[:] = value.iloc[::-1].to_numpy()
    elif type(value).__name__ in ("list", "ndarray"):
        value[:] = value[::-1]
    elif type(value).__name__ == "dict":
        value["spoiled"] = True
    else:
        return
    spoil.done = True
'''


def others(node):
    """Yield what could stand in the place of an expression."""
    if isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            for near in NEAR.get(type(operator), []):
                turned = copy.deepcopy(node)
                turned.ops[number] = near()
                yield turned
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int):
            yield ast.Constant(node.value + 1)
            yield ast.Constant(node.value - 1)
        elif isinstance(node.value, float):
            yield ast.Constant(2 * node.value or 1.0)
        elif node.value in TWINS:
            yield ast.Constant(TWINS[node.value])
    elif isinstance(node, ast.BinOp):
        yield node.left
        yield node.right
        if type(node.op) in SWAPPED:
            yield ast.BinOp(node.left, SWAPPED[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        for number in range(len(node.values)):
            left = [value for i, value in enumerate(node.values) if i != number]
            yield left[0] if len(left) == 1 else ast.BoolOp(node.op, left)
        yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.Call):
        for number in range(len(node.keywords)):
            yield ast.Call(node.func, node.args, [k for i, k in enumerate(node.keywords) if i != number])
        if len(node.args) > 1:
            yield ast.Call(node.func, node.args[:-1], node.keywords)
        if isinstance(node.func, ast.Attribute) and node.func.attr in TWINS:
            yield ast.Call(ast.Attribute(node.func.value, TWINS[node.func.attr]), node.args, node.keywords)
        if (
            isinstance(node.func, ast.Name)
            and node.func.id in TWINS
            and node.func.id not in ("first", "last")
        ):
            yield ast.Call(ast.Name(TWINS[node.func.id]), node.args, node.keywords)
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield ast.comprehension(node.target, node.iter, node.ifs[1:], node.is_async)


def other_statements(node):
    """Yield (what was done, the statements) that could stand in the place of a statement."""
    if isinstance(node, ast.Return) and node.value is not None:
        yield "forget `return`", [ast.Expr(node.value)]
        yield "turn the sign of the result", [ast.Return(ast.UnaryOp(ast.USub(), node.value))]
    elif isinstance(node, ast.If):
        yield f"always `{ast.unparse(node.test)}`", node.body
        yield f"never `{ast.unparse(node.test)}`", node.orelse or [ast.Pass()]
    elif isinstance(node, (ast.For, ast.While)):
        shorter = copy.copy(node)
        shorter.body = [*node.body, ast.Break()]
        yield "stop after the first round", [shorter]
    elif isinstance(node, (ast.Raise, ast.AugAssign)) or (
        isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
    ):
        yield f"leave out `{ast.unparse(node).splitlines()[0]}`", [ast.Pass()]
    elif isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name):
        yield f"leave out `{ast.unparse(node).splitlines()[0]}`", [ast.Pass()]
    elif isinstance(node, ast.With):
        yield f"without `{ast.unparse(node.items[0])}`", node.body


def places(tree):
    """Yield (parent, field, index) of every expression and statement in the functions of `tree`."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(parent, ast.arguments) or field in ("annotation", "returns", "decorator_list"):
                continue
            if isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, ast.AST):
                        yield parent, field, index
            elif isinstance(value, ast.AST):
                yield parent, field, None


def mutants(source):
    """{what was changed: the changed source} for the Python `source`, whose last function is the answer."""
    found = {}

    def add(what, tree):
        try:
            changed = ast.unparse(ast.fix_missing_locations(tree))
            compile(changed, "<mutant>", "exec")
        except (SyntaxError, ValueError):
            return
        name, number = what, 1
        while name in found:
            number += 1
            name = f"{what} ({number})"
        if changed not in found.values() and changed != plain:
            found[name] = changed

    tree = ast.parse(source)
    plain = ast.unparse(tree)
    paths = [(number, *place[1:]) for number, place in enumerate(places(tree))]
    for number, field, index in paths:
        parent = list(places(tree))[number][0]
        old = getattr(parent, field) if index is None else getattr(parent, field)[index]
        if isinstance(old, ast.stmt):
            for what, statements in other_statements(old):
                mutant = copy.deepcopy(tree)
                place = list(places(mutant))[number][0]
                getattr(place, field)[index : index + 1] = copy.deepcopy(statements)
                add(what, mutant)
        for new in others(old):
            mutant = copy.deepcopy(tree)
            place = list(places(mutant))[number][0]
            if index is None:
                setattr(place, field, copy.deepcopy(new))
            else:
                getattr(place, field)[index] = copy.deepcopy(new)
            add(f"`{ast.unparse(old).strip()}` becomes `{ast.unparse(new).strip()}`", mutant)
    answer = [node for node in tree.body if isinstance(node, ast.FunctionDef)][-1]
    where = tree.body.index(answer)
    for number, argument in enumerate([*answer.args.args, *answer.args.kwonlyargs]):
        defaults = answer.args.defaults
        with_default = number - (len(answer.args.args) - len(defaults))
        if 0 <= with_default < len(defaults):
            mutant = copy.deepcopy(tree)
            ignored = ast.Assign([ast.Name(argument.arg)], defaults[with_default])
            body = mutant.body[where].body
            body.insert(bool(ast.get_docstring(answer)), ignored)
            add(f"ignore `{argument.arg}`", mutant)
        mutant = copy.deepcopy(tree)
        function = mutant.body[where]
        spoil = ast.parse(f"spoil({argument.arg})").body
        function.body = [ast.Try(function.body, [], [], spoil)]
        mutant.body[:0] = ast.parse(SPOIL).body
        add(f"change `{argument.arg}` in place", mutant)
    return found
