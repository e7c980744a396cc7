-- Makes each photo that Capture One exports safe to publish: faces concealed, metadata stripped, both checked.
-- A photo that cannot be made safe is removed; its raw file stays.
--
-- Save it with Script Editor as cloak.scpt into Capture One's folder "Background Scripts" (see README.md).

-- The whole path, as `which cloak` tells it: programs on the desktop do not know the shell's search path.
property cloak : "/usr/local/bin/cloak"
-- For example "--pipeline cms".
property options : ""

-- Capture One calls this for each raw file, with the paths of what was made from it.
on CO_BatchJobFinished(jobUUID, rawFilePath, outputPathList)
	repeat with outputPath in outputPathList
		set photo to quoted form of (outputPath as text)
		set command to quoted form of cloak & " run --in-place --quiet " & options & " -- " & photo
		-- 4: clean, and a person should look. Whatever else fails, the photo goes: it is not clean.
		set command to command & "; code=$?; [ $code = 0 ] || [ $code = 4 ] || { rm -f -- " & photo & "; exit $code; }"
		try
			do shell script command
		on error message
			display notification message with title "cloak removed an export that is not safe" subtitle (outputPath as text)
		end try
	end repeat
end CO_BatchJobFinished
