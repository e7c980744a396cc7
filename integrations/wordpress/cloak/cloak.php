<?php
/**
 * Plugin Name:       Cloak
 * Description:       Conceals the faces in every photo and strips its metadata before WordPress stores the first byte.
 * Version:           0.1.0
 * Requires at least: 5.7
 * Requires PHP:      7.4
 * License:           Apache-2.0
 * License URI:       https://www.apache.org/licenses/LICENSE-2.0
 * Text Domain:       cloak
 *
 * @package Cloak
 */

defined( 'ABSPATH' ) || exit;

require_once __DIR__ . '/includes/class-cloak-refusal.php';
require_once __DIR__ . '/includes/settings.php';
require_once __DIR__ . '/includes/client.php';
require_once __DIR__ . '/includes/uploads.php';

cloak_guard_uploads();

if ( is_admin() ) {
	require_once __DIR__ . '/includes/settings-page.php';
	cloak_add_settings_page();
}
