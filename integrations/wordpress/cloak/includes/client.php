<?php
/**
 * The call to the service: a photo goes out, a clean photo comes back, or a Cloak_Refusal is thrown.
 *
 * @package Cloak
 */

defined( 'ABSPATH' ) || exit;

const CLOAK_SECONDS  = 120; // For one photo; the service's own deadline ends before.
const CLOAK_ATTEMPTS = 3;   // A busy service says when to come again.

/**
 * A photo made safe to publish.
 *
 * @param string $photo The bytes of the photo.
 * @return string The bytes of the clean photo, in the same format.
 * @throws Cloak_Refusal The photo may not be stored; the message says why.
 */
function cloak_anonymize( $photo ) {
	$settings = cloak_settings();
	if ( ! cloak_is_address( $settings['address'] ) ) {
		throw new Cloak_Refusal( __( 'The address of the cloak service is not set. Tell your administrator: Settings > Cloak.', 'cloak' ) );
	}
	$url     = untrailingslashit( $settings['address'] ) . '/v1/anonymize?pipeline=' . rawurlencode( $settings['pipeline'] );
	$headers = array( 'Content-Type' => 'application/octet-stream' );
	if ( '' !== $settings['token'] ) {
		$headers['Authorization'] = 'Bearer ' . $settings['token'];
	}
	for ( $attempt = 1; ; $attempt++ ) {
		$response = wp_remote_post(
			$url,
			array(
				'body'        => $photo,
				'headers'     => $headers,
				'timeout'     => CLOAK_SECONDS,
				'redirection' => 0, // A photo goes where the administrator said, and nowhere else.
			)
		);
		if ( is_wp_error( $response ) ) {
			throw new Cloak_Refusal( __( 'The service that makes photos safe to publish does not answer. Try again in a few minutes; if it stays so, tell your administrator.', 'cloak' ) );
		}
		$wait = (int) wp_remote_retrieve_header( $response, 'retry-after' );
		if ( 503 !== wp_remote_retrieve_response_code( $response ) || $attempt >= CLOAK_ATTEMPTS || $wait < 1 ) {
			return cloak_read( $response );
		}
		sleep( min( $wait, 10 ) );
	}
}

/**
 * The clean photo in an answer.
 *
 * @param array $response As wp_remote_post gives it.
 * @return string
 * @throws Cloak_Refusal The answer is not a clean photo.
 */
function cloak_read( $response ) {
	$code = wp_remote_retrieve_response_code( $response );
	$type = strtolower( trim( explode( ';', (string) wp_remote_retrieve_header( $response, 'content-type' ) )[0] ) );
	$data = wp_remote_retrieve_body( $response );
	if ( 200 !== $code ) {
		throw new Cloak_Refusal( cloak_reason( $code, 'application/problem+json' === $type ? json_decode( $data, true ) : null ) );
	}
	// The report is what tells cloak's answer from that of any other server at this address.
	$report = json_decode( (string) wp_remote_retrieve_header( $response, 'cloak-report' ), true );
	$status = is_array( $report ) ? ( $report['status'] ?? '' ) : '';
	if ( ! in_array( $status, array( 'concealed', 'no-face', 'perturbed' ), true ) || empty( $report['verified'] ) || 0 !== strpos( $type, 'image/' ) || '' === $data ) {
		throw new Cloak_Refusal( __( 'What answers at the address of the cloak service is not cloak. Tell your administrator: Settings > Cloak.', 'cloak' ) );
	}
	// An answer that does not say where it ends may have broken off anywhere.
	if ( strlen( $data ) !== (int) wp_remote_retrieve_header( $response, 'content-length' ) ) {
		throw new Cloak_Refusal( __( 'The answer of the cloak service did not come whole. Try again; if it stays so, tell your administrator: a proxy must pass Content-Length on.', 'cloak' ) );
	}
	return $data;
}

/**
 * Why the service refused, in words for the person who uploads.
 *
 * @param int        $code    HTTP status.
 * @param array|null $problem The problem document (RFC 9457), if there is one.
 */
function cloak_reason( $code, $problem ) {
	if ( 401 === $code || 403 === $code ) {
		return __( "The service that makes photos safe to publish does not accept this site's token. Tell your administrator: Settings > Cloak.", 'cloak' );
	}
	if ( 503 === $code ) {
		return __( 'The service that makes photos safe to publish is busy or just starting. Try again in a minute.', 'cloak' );
	}
	$words = array();
	foreach ( array( 'detail', 'next' ) as $key ) {
		$text = is_array( $problem ) && is_string( $problem[ $key ] ?? null ) ? trim( wp_strip_all_tags( $problem[ $key ] ) ) : '';
		if ( '' !== $text ) {
			$words[] = rtrim( mb_substr( $text, 0, 300 ), '.' ) . '.';
		}
	}
	if ( ! $words ) {
		/* translators: %d: HTTP status. */
		return sprintf( __( 'The service that makes photos safe to publish failed (HTTP %d). Try again; if it stays so, tell your administrator.', 'cloak' ), $code );
	}
	/* translators: %s: what the service says is wrong with the photo. */
	return sprintf( __( 'This photo was not stored, because it could not be made safe to publish: %s', 'cloak' ), implode( ' ', $words ) );
}
