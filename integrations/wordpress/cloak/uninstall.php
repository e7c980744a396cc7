<?php
/**
 * Removes what the plugin stored.
 *
 * @package Cloak
 */

defined( 'WP_UNINSTALL_PLUGIN' ) || exit;

delete_option( 'cloak' );
