<?php
/**
 * Where the service is and how it is asked: constants of wp-config.php beat what the settings page stored.
 *
 * @package Cloak
 */

defined( 'ABSPATH' ) || exit;

const CLOAK_DEFAULTS = array(
	'address'  => 'http://127.0.0.1:8571',
	'token'    => '',
	'pipeline' => 'cms',
);

/**
 * The settings in force.
 *
 * @return array{address: string, token: string, pipeline: string}
 */
function cloak_settings() {
	$stored   = (array) get_option( 'cloak', array() );
	$settings = array();
	foreach ( CLOAK_DEFAULTS as $name => $default ) {
		$value             = cloak_is_fixed( $name ) ? constant( cloak_constant( $name ) ) : ( $stored[ $name ] ?? $default );
		$settings[ $name ] = is_string( $value ) ? $value : '';
	}
	return $settings;
}

/**
 * Whether wp-config.php sets it.
 *
 * @param string $name A key of CLOAK_DEFAULTS.
 */
function cloak_is_fixed( $name ) {
	return defined( cloak_constant( $name ) );
}

/**
 * The constant that sets it: CLOAK_ADDRESS, CLOAK_TOKEN, CLOAK_PIPELINE.
 *
 * @param string $name A key of CLOAK_DEFAULTS.
 */
function cloak_constant( $name ) {
	return 'CLOAK_' . strtoupper( $name );
}

/**
 * Whether an address is one that photos may be sent to: http or https, a host, and nothing else but a path.
 *
 * @param string $address What was entered.
 */
function cloak_is_address( $address ) {
	$parts = wp_parse_url( $address );
	return is_array( $parts )
		&& in_array( $parts['scheme'] ?? '', array( 'http', 'https' ), true )
		&& ! empty( $parts['host'] )
		&& ! array_intersect( array( 'user', 'pass', 'query', 'fragment' ), array_keys( $parts ) );
}
