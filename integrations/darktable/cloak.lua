--[[
cloak: a target of darktable's export module. Each exported photo is made safe to publish before it reaches the folder:
faces concealed, metadata stripped, both checked. A photo that cannot be made safe does not reach it.

Copy this file to the folder lua/ of darktable's configuration and add `require "cloak"` to luarc there.
]]

local dt = require "darktable"

dt.preferences.register("cloak", "command", "string", "cloak: command",
  "The program; its whole path if darktable does not find it.", "cloak")
dt.preferences.register("cloak", "options", "string", "cloak: options",
  "Options of cloak run --in-place, such as --pipeline cms.", "")

local windows = dt.configuration.running_os == "windows"

local folder = dt.new_widget("file_chooser_button") {
  title = "safe photos go to",
  is_directory = true,
  value = dt.preferences.read("cloak", "folder", "string"),
  changed_callback = function(self)
    if self.value then dt.preferences.write("cloak", "folder", "string", self.value) end
  end,
}

-- A word of a command line. File names come from strangers' cameras: nothing in them may be read as a command.
local function quoted(word)
  if not windows then return "'" .. word:gsub("'", "'\\''") .. "'" end
  assert(not word:find('[%%"]'), "cloak cannot take a file name with % or \"")
  return '"' .. word .. '"'
end

-- What execute() gives for exit code 4. On Windows that is the code; elsewhere it is what wait() gives, whose upper byte
-- is the code: a bare 4 there is a program that was killed by signal 4.
local look = windows and 4 or 4 * 256

-- True and false: clean, and clean but a person should look. Nil: not clean.
local function clean(path)
  local program = quoted(dt.preferences.read("cloak", "command", "string"))
  local options = dt.preferences.read("cloak", "options", "string")
  local command = program .. " run --in-place --quiet " .. options .. " -- " .. quoted(path)
  local status = dt.control.execute(windows and '"' .. command .. '"' or command)
  if status == 0 then return true end
  if status == look then return false end
  return nil
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- A path in the folder that no file has.
local function free(name)
  local stem, ending = name:match("^(.*)(%.[^.]*)$")
  local path, count = folder.value .. "/" .. name, 1
  while exists(path) do
    path = string.format("%s/%s_%02d%s", folder.value, stem or name, count, ending or "")
    count = count + 1
  end
  return path
end

-- The folder may be on another disk, to which os.rename does not reach.
local function move(from, to)
  if os.rename(from, to) then return end
  local part = to .. ".part"
  local source, target = assert(io.open(from, "rb")), assert(io.open(part, "wb"))
  local written = target:write(source:read("a"))
  source:close()
  if not (target:close() and written and os.rename(part, to)) then
    os.remove(part)
    error("the folder cannot be written")
  end
end

local function store(_, image, _, filename, number, total, _, extra)
  dt.print(string.format("cloak: photo %d of %d", number, total))
  local done, safe = pcall(clean, filename)
  if done and safe ~= nil then
    done = pcall(move, filename, free(filename:match("[^/\\]+$")))
  end
  os.remove(filename) -- gone already, unless something failed
  if not (done and safe ~= nil) then
    table.insert(extra.withheld, image.filename)
  elseif not safe then
    table.insert(extra.doubtful, image.filename)
  end
end

local function finalize(_, _, extra)
  for words, names in pairs({
    ["withheld, could not be made safe: "] = extra.withheld,
    ["published, but look at it: "] = extra.doubtful,
  }) do
    if #names > 0 then
      dt.print("cloak: " .. words .. table.concat(names, ", "))
      dt.print_error(words .. table.concat(names, ", "))
    end
  end
end

local function initialize(_, _, images, _, extra)
  extra.withheld, extra.doubtful = {}, {}
  if folder.value and folder.value ~= "" then return images end
  dt.print("cloak: choose a folder for the safe photos first")
  return {}
end

dt.register_storage("cloak", "cloak: safe to publish", store, finalize, nil, initialize, folder)
