-- darktable's luarc for the test: exports photos by the target that our script registers, as the export button does.
require "cloak"
local dt = require "darktable"

dt.control.dispatch(function()
  -- darktable tells no script when its window is ready.
  repeat dt.control.sleep(1000) until dt.gui.current_view() and dt.gui.current_view().id == "lighttable"
  dt.control.sleep(2000)
  local photos = {}
  for path in os.getenv("CLOAK_TEST_PHOTOS"):gmatch("[^:]+") do
    table.insert(photos, dt.database.import(path))
  end
  dt.control.sleep(500)
  dt.gui.selection(photos)
  dt.print_error("exporting " .. #dt.gui.selection() .. " photos")
  dt.gui.action("lib/export/export", 0, "", "", 1.0)
end)
