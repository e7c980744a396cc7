return {
  LrSdkVersion = 6.0,
  LrSdkMinimumVersion = 6.0,
  LrToolkitIdentifier = 'org.cloak-images.lightroom',
  LrPluginName = 'cloak',
  LrExportFilterProvider = {
    title = 'cloak: safe to publish',
    file = 'CloakFilter.lua',
    id = 'cloak',
  },
  VERSION = { major = 0, minor = 1, revision = 0 },
}
