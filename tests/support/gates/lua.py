"""Lua 5.1 with the libraries that Argo CD provides to its scripts.

https://github.com/argoproj/argo-cd/blob/master/util/lua/lua.go opens base, package and table. ``require("os")`` has only
time and date. Argo CD stops a script after one second, and this sandbox after a number of steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lupa import lua51

if TYPE_CHECKING:
    from collections.abc import Mapping

_STEPS: Final = 1_000_000
_SANDBOX: Final = """
function(steps)
  local time, date, load = os.time, os.date, loadstring
  package.loaded.os = nil
  package.preload.os = function() return { time = time, date = date } end
  debug.setmetatable("", nil)
  debug.sethook(function() error("the script takes too long") end, "", steps)
  for _, name in ipairs({ "coroutine", "debug", "io", "math", "os", "python", "string" }) do
    _G[name], package.loaded[name] = nil, nil
  end
  package.path, package.cpath, package.loadlib = "", "", nil
  return function(script, object)
    _G.obj = object
    return assert(load(script))()
  end
end
"""


class LuaFailed(Exception):
    """A script that did not return a table."""


def run(script: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Run a script on ``obj``, and return its result. Raise LuaFailed if that is not a table."""
    runtime = lua51.LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    object_ = runtime.table_from(body, recursive=True)
    try:
        returned = runtime.eval(_SANDBOX)(_STEPS)(script, object_)
    except lua51.LuaError as error:
        raise LuaFailed(str(error)) from error
    if lua51.lua_type(returned) != "table":
        raise LuaFailed(f"expected a table, got {lua51.lua_type(returned)}")
    return _plain(returned) or {}


def _plain(value: Any) -> Any:
    """Convert a table with integer keys or without keys to a list, as gopher-json does."""
    if lua51.lua_type(value) != "table":
        return value
    keys = list(value.keys())
    if all(isinstance(key, int) for key in keys):
        return [_plain(value[number]) for number in sorted(keys)]
    return {str(key): _plain(value[key]) for key in keys}
