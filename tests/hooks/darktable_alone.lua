-- Runs darktable's target without darktable: lua5.1 darktable_alone.lua SCRIPT COMMAND OPTIONS FOLDER PHOTO...
-- What the script uses of darktable stands in here; each PHOTO is a file that darktable has rendered.
local preferences = { command = arg[2], options = arg[3], folder = arg[4] }
local target

package.preload.darktable = function()
  return {
    preferences = { register = function() end, read = function(_, name) return preferences[name] end },
    configuration = { running_os = "linux" },
    new_widget = function() return function(widget) return widget end end,
    print = function() end,
    print_error = print,
    -- system(): a shell that is bash replaces itself by the command.
    control = { execute = function(command) return os.execute("exec " .. command) end },
    register_storage = function(_, _, store, finalize, _, initialize)
      target = { store = store, finalize = finalize, initialize = initialize }
    end,
  }
end

dofile(arg[1])
local extra = {}
target.initialize(nil, nil, {}, nil, extra)
for number = 5, #arg do
  target.store(nil, { filename = arg[number]:match("[^/]+$") }, nil, arg[number], number - 4, #arg - 4, nil, extra)
end
target.finalize(nil, {}, extra)
