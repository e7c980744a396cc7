--[[
A post-process action of Lightroom Classic's export: each rendered photo is made safe to publish before the export goes
on with it: faces concealed, metadata stripped, both checked. A photo that cannot be made safe is removed, and the
export reports it as failed.
]]

local LrFileUtils = import 'LrFileUtils'
local LrTasks = import 'LrTasks'
local LrView = import 'LrView'

local bind = LrView.bind

-- A word of a command line. Nothing in a file's name may be read as a command.
local function quoted(word)
  if not WIN_ENV then return "'" .. word:gsub("'", "'\\''") .. "'" end
  assert(not word:find('[%%"]'), 'a file name may not have % or " in it')
  return '"' .. word .. '"'
end

-- An exit code of 1, as execute() gives it. On Windows that is the code; on macOS it is what wait() gives, whose upper
-- byte is the code: a bare 4 there is a program that was killed by signal 4.
local exit = WIN_ENV and 1 or 256

-- Why a photo is not clean, or nil if it is.
local function fault(settings, path)
  local command = quoted(settings.cloak_command) .. ' run --in-place --quiet ' .. settings.cloak_options
    .. ' -- ' .. quoted(path)
  -- On Windows the whole line needs quotes of its own around it.
  local status = LrTasks.execute(WIN_ENV and '"' .. command .. '"' or command)
  if status == 0 or status == 4 * exit then return nil end -- 4: clean, and a person should look
  if status == 1 * exit then return 'cloak could not make this photo safe to publish; it was removed.' end
  return 'cloak did not run (status ' .. status .. '): set its command in the export dialog. The photo was removed.'
end

local function postProcessRenderedPhotos(_, filterContext)
  for source, rendition in filterContext:renditions({ renditionsToSatisfy = filterContext.renditionsToSatisfy }) do
    local rendered, path = source:waitForRender()
    if rendered then
      local called, failure = LrTasks.pcall(fault, filterContext.propertyTable, path)
      local why = not called and 'cloak failed: ' .. tostring(failure) or failure
      if why then LrFileUtils.delete(path) end
      rendition:renditionIsDone(not why, why)
    else
      rendition:renditionIsDone(false, path)
    end
  end
end

local function sectionForFilterInDialog(f, properties)
  return {
    title = 'cloak: safe to publish',
    f:row {
      spacing = f:control_spacing(),
      f:static_text { title = 'Command' },
      f:edit_field {
        value = bind { key = 'cloak_command', object = properties },
        width_in_chars = 30,
        tooltip = 'The program; its whole path if Lightroom does not find it.',
      },
    },
    f:row {
      spacing = f:control_spacing(),
      f:static_text { title = 'Options' },
      f:edit_field {
        value = bind { key = 'cloak_options', object = properties },
        width_in_chars = 30,
        tooltip = 'Options of cloak run --in-place, such as --pipeline cms.',
      },
    },
  }
end

return {
  exportPresetFields = {
    { key = 'cloak_command', default = 'cloak' },
    { key = 'cloak_options', default = '' },
  },
  postProcessRenderedPhotos = postProcessRenderedPhotos,
  sectionForFilterInDialog = sectionForFilterInDialog,
}
