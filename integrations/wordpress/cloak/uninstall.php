<?php
/**
 * Removes what the plugin stored.
 *
 * @package Cloak
 */

defined( 'WP_UNINSTALL_PLUGIN' ) || exit;

if ( is_multisite() ) {
	foreach ( get_sites( array( 'fields' => 'ids', 'number' => 0 ) ) as $cloak_site ) {
		delete_blog_option( $cloak_site, 'cloak' );
	}
} else {
	delete_option( 'cloak' );
}
