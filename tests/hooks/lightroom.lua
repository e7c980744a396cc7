-- Runs the export filter for Lightroom Classic without it: lua5.1 lightroom.lua PLUGIN COMMAND OPTIONS PHOTO...
-- What the plug-in uses of Adobe's SDK stands in here: rendered photos are files that exist already.
WIN_ENV = false

function import(name)
  return ({
    LrFileUtils = { delete = os.remove },
    -- system(): a shell that is bash, as on macOS, replaces itself by the command.
    LrTasks = { execute = function(command) return os.execute('exec ' .. command) end, pcall = pcall },
    LrView = { bind = function(binding) return binding end },
  })[name]
end

local info = dofile(arg[1] .. '/Info.lua')
local filter = dofile(arg[1] .. '/' .. info.LrExportFilterProvider.file)
local settings = {}
for _, field in ipairs(filter.exportPresetFields) do settings[field.key] = field.default end
settings.cloak_command, settings.cloak_options = arg[2], arg[3]

local function renditions()
  local number = 3
  return function()
    number = number + 1
    local path = arg[number]
    if not path then return nil end
    local source = { waitForRender = function() return io.open(path) ~= nil, path end }
    return source, {
      renditionIsDone = function(_, done, why) print(tostring(done) .. '\t' .. path .. '\t' .. tostring(why)) end,
    }
  end
end

filter.postProcessRenderedPhotos(nil, { propertyTable = settings, renditions = renditions })

-- The dialog's section is put together, at least.
local control = setmetatable({ control_spacing = function() return 5 end }, {
  __index = function() return function(_, view) return view end end,
})
assert(filter.sectionForFilterInDialog(control, settings).title)
