-- darktable's luarc for the test: exports photos by the target that our script registers, as the export button does.
require "cloak"
local dt = require "darktable"

dt.control.dispatch(function()
  dt.control.sleep(3000) -- darktable tells no script when its window is ready
  local photos = {}
  for path in os.getenv("CLOAK_TEST_PHOTOS"):gmatch("[^:]+") do
    table.insert(photos, dt.database.import(path))
  end
  dt.control.sleep(500)
  dt.gui.selection(photos)
  dt.gui.action("lib/export/export", 0, "", "", 1.0)
end)
