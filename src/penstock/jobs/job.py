"""What a job is: functions whose arguments name what they need. Declared here and checked here; nothing runs."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, overload

from penstock import sql
from penstock.engines.files import unknown
from penstock.errors import UsageError
from penstock.jobs.parameters import Parameter

if TYPE_CHECKING:
    from penstock.engines.engine import Engine
    from penstock.jobs.runner import Run

__all__ = ["Job", "Step", "Target"]

F = TypeVar("F", bound=Callable[..., Any])
OnError = Literal["stop", "skip", "continue"]

#: An argument of this name is the time that the run stands for: a retry of the run keeps it.
LOGICAL_TIME = "logical_time"
_OPTIONS = ("keep", "retries", "timeout", "on_error")
#: What `Job.run` takes itself.
_TAKEN = ("engine", "resume", "select", "wait", "watch")


class Target(NamedTuple):
    """Where a sink writes, and how: the arguments of `ps.write`."""

    path: str
    options: dict[str, Any]

    def at(self, values: Mapping[str, Any]) -> str:
        """The path, with the values of the parameters that it names."""
        return self.path.format_map(values)


class Step(NamedTuple):
    """A function of a job."""

    name: str
    kind: Literal["source", "step", "sink"]
    function: Callable[..., Any]
    needs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    keep: bool = False
    retries: int = 0
    timeout: float | None = None
    """Seconds."""
    on_error: OnError = "stop"
    target: Target | None = None

    @property
    def place(self) -> str:
        """The user's file and line."""
        code = self.function.__code__
        return f"{code.co_filename}:{code.co_firstlineno}"


class Job:
    """Steps under one name.

    Args:
        name: What its runs are called by; a folder is named so.
        folder: Where the runs are kept.
        keep_runs: How many finished runs are kept; those that did not finish stay until one does.

    Example:
        >>> job = ps.Job("hello")
        >>> @job.source
        ... def people(path: str = "people.csv"):
        ...     return ps.read(path)
        >>> @job.step
        ... def adults(people, age: int = 18):
        ...     return ps.where(people, f"age >= {age}")
        >>> job.steps["adults"].needs, sorted(job.parameters)
        (('people',), ['age', 'path'])
    """

    def __init__(self, name: str, *, folder: str | PathLike[str] = ".penstock", keep_runs: int = 10) -> None:
        if not name.replace("-", "").replace("_", "").isalnum():
            raise UsageError(f'"{name}" cannot name a job', "use letters, digits, - and _")
        if keep_runs < 1:
            raise UsageError(f"keep_runs is {keep_runs}", "at least the last run is kept")
        self.name = name
        self.folder = fspath(folder)
        self.keep_runs = keep_runs
        self.steps: dict[str, Step] = {}

    def __repr__(self) -> str:
        return f"Job({self.name!r}, steps: {', '.join(self.steps) or 'none'})"

    # -- declaring ----------------------------------------------------------------------------------------------------

    @overload
    def source(self, function: F, /) -> F: ...

    @overload
    def source(
        self, /, *, keep: bool = ..., retries: int = ..., timeout: Any = ..., on_error: OnError = ...
    ) -> Callable[[F], F]: ...

    def source(self, function: Any = None, /, **options: Any) -> Any:
        """A function without inputs, which reads. `ps.read` within it tells the run which files it depends on.

        Options are those of `step`.
        """
        return self._declare("source", function, options)

    @overload
    def step(self, function: F, /) -> F: ...

    @overload
    def step(
        self, /, *, keep: bool = ..., retries: int = ..., timeout: Any = ..., on_error: OnError = ...
    ) -> Callable[[F], F]: ...

    def step(self, function: Any = None, /, **options: Any) -> Any:
        """A function whose arguments name the steps that it needs; those with a default are parameters.

        Args:
            function: Returns a table, `ps.check(…)`, or anything that `ps.adopt` takes.
            **options: `keep=True` writes its rows to the run's folder, so that they are there for a later run.
                `retries=2` tries again, after 1, 2, 4 … seconds. `timeout="10m"` stops it. `on_error` is "stop" (what
                runs is finished, nothing new begins), "skip" (what needs it is left out, the rest goes on) or
                "continue" (what needs it is given None in its place).
        """
        return self._declare("step", function, options)

    def sink(self, path: str | PathLike[str], **options: Any) -> Callable[[F], F]:
        """A step whose rows are written.

        Args:
            path: Where to; `{day}` stands for the parameter `day`.
            **options: Those of `ps.write`, and those of `step`. Where `mode` is not given, a sink with `partition_by`
                replaces the partitions that it has rows for, and one without replaces all.
        """
        ours = {key: options.pop(key) for key in _OPTIONS if key in options}
        mode = "overwrite_partitions" if options.get("partition_by") else "overwrite"
        target = Target(fspath(path), {"mode": mode} | options)
        return lambda function: self._declare("sink", function, ours | {"target": target})

    def _declare(self, kind: Any, function: Any, options: dict[str, Any]) -> Any:
        if function is None:
            return lambda given: self._declare(kind, given, options)
        for option in options:
            if option not in (*_OPTIONS, "target"):
                raise unknown("option", option, _OPTIONS)
        step = _step(kind, function, **options)
        if step.name in self.steps:
            raise UsageError(
                f'{step.place}: there is a step "{step.name}" already, at {self.steps[step.name].place}', "rename one"
            )
        self.steps[step.name] = step
        return function

    # -- what was declared --------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters of all steps, by name."""
        found: dict[str, tuple[Parameter, Step]] = {}
        for step in self.steps.values():
            for parameter in step.parameters:
                other, first = found.setdefault(parameter.name, (parameter, step))
                if (other.kind, other.default) != (parameter.kind, parameter.default):
                    raise UsageError(
                        f'{step.place}: the parameter "{parameter.name}" is another one in "{first.name}"',
                        "give both the same type and default",
                    )
        return {name: parameter for name, (parameter, _) in found.items() if name != LOGICAL_TIME}

    def ordered(self, select: Iterable[str] | None = None) -> list[Step]:
        """The steps that the selected ones (all, otherwise) need, and those, each after what it needs; checked."""
        self._check_names()
        try:
            order = list(TopologicalSorter({name: step.needs for name, step in self.steps.items()}).static_order())
        except CycleError as error:
            circle = error.args[1][::-1]
            raise UsageError(
                f"{self.steps[circle[0]].place}: steps need each other in a circle: {' > '.join(circle)}",
                "take one of the arguments away",
            ) from error
        self._check_used()
        wanted = set(self._selected(select))
        for name in reversed(order):
            if name in wanted:
                wanted.update(self.steps[name].needs)
        return [self.steps[name] for name in order if name in wanted]

    def run(
        self, engine: Engine | str | None = None, resume: bool = True, select: str | Sequence[str] | None = None,
        wait: bool = False, watch: Callable[[Mapping[str, Any]], None] | None = None, **params: Any,
    ) -> Run:  # fmt: skip
        """Run what is not done.

        Args:
            engine: An engine, or a target of `ps.connect`; the default engine otherwise.
            resume: Take over what earlier runs have done with the same code, parameters and inputs.
            select: Run only these steps and what they need.
            wait: Where another run of the job is at work, wait for its end; otherwise that is an error.
            watch: Called with every event of the run, and some times a second with what is at work.
            **params: Values for parameters.

        Raises:
            UsageError: the job or a parameter is wrong; nothing ran.
            CheckFailed: a check found more bad rows than its `fail_above`.
            EngineError: a step failed, with its name and line; the same call resumes.
        """
        from penstock.jobs.runner import run

        return run(self, engine, resume=resume, select=select, wait=wait, watch=watch, params=params)

    def _check_names(self) -> None:
        if not self.steps:
            raise UsageError(
                f'the job "{self.name}" has no steps', "declare them with @job.source, @job.step, @job.sink"
            )
        known = {*self.steps, *self.parameters}
        for step in self.steps.values():
            for need in step.needs:
                if need not in self.steps:
                    near = difflib.get_close_matches(need, known, n=1)
                    guess = f'did you mean "{near[0]}"? ' if near else ""
                    raise UsageError(
                        f'{step.place}: "{step.name}" needs "{need}", and no step is called so',
                        f"{guess}a parameter has a default: {need}=…",
                    )
                if self.steps[need].kind == "sink":
                    raise UsageError(
                        f'{step.place}: "{step.name}" needs "{need}", which is a sink', "let both need the same step"
                    )

    def _check_used(self) -> None:
        sinks = [step for step in self.steps.values() if step.kind == "sink"]
        if not sinks:
            return
        used = {need for step in self.steps.values() for need in step.needs}
        for step in self.steps.values():
            if step.kind != "sink" and step.name not in used and not step.keep:
                raise UsageError(
                    f'{step.place}: nothing needs "{step.name}"', "take it away, let a sink need it, or say keep=True"
                )

    def _selected(self, select: Iterable[str] | str | None) -> Iterator[str]:
        for name in [select] if isinstance(select, str) else self.steps if select is None else select:
            if name not in self.steps:
                raise UsageError(f'the job has no step "{name}"', f"it has: {', '.join(self.steps)}")
            yield name


def _step(
    kind: Any, function: Any, *, keep: bool = False, retries: int = 0, timeout: Any = None, on_error: Any = "stop",
    target: Target | None = None,
) -> Step:  # fmt: skip
    """A step from a function and its options, which are checked."""
    if not inspect.isfunction(function):
        raise UsageError(f"{function!r} is no function", f"put @job.{kind} over a def")
    needs, parameters = [], []
    for argument in inspect.signature(function, eval_str=True).parameters.values():
        if argument.kind not in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY):
            raise UsageError(f'a step cannot have the argument "*{argument.name}"', "name each step that it needs")
        if argument.name in _TAKEN:
            raise UsageError(f'"{argument.name}" is an argument of job.run itself', "call it something else")
        if argument.name == LOGICAL_TIME or argument.default is not argument.empty or kind == "source":
            annotated = None if argument.annotation is argument.empty else argument.annotation
            parameters.append(Parameter(argument.name, annotated or _kind_of(argument.default), argument.default))
        else:
            needs.append(argument.name)
    step = Step(
        function.__name__, kind, function, tuple(needs), tuple(parameters), keep, retries,
        None if timeout is None else sql.duration(timeout) / 1e6, on_error, target,
    )  # fmt: skip
    if kind != "source" and not needs:
        raise UsageError(f'{step.place}: "{step.name}" needs no step', "a function that reads is a @job.source")
    if on_error not in ("stop", "skip", "continue"):
        raise UsageError(f'{step.place}: unknown on_error "{on_error}"', "one of: stop, skip, continue")
    if not isinstance(retries, int) or retries < 0:
        raise UsageError(f"{step.place}: retries is {retries!r}", "it is a number of times, 0 or more")
    return step


def _kind_of(default: Any) -> Any:
    return Any if default is None or default is inspect.Parameter.empty else type(default)
