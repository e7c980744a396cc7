<?php
/**
 * Every way by which WordPress takes in a file, and what makes photos clean on it before they are stored.
 *
 * Forms, the REST API and sideloads pass a file through `{action}_prefilter`. XML-RPC hands bytes to wp_upload_bits(),
 * whose filter can refuse them but not change them, so its methods are wrapped. A photo that another plugin brings
 * past these meets two guards: it is made clean or refused just before it would be stored.
 *
 * @package Cloak
 */

defined( 'ABSPATH' ) || exit;

// Memory beyond a request of XML-RPC that WordPress's reader takes, and beyond a photo that its HTTP client takes for the
// answer, as multiples of them (measured with WordPress 6.1 and PHP 8.2: 3.1 to 3.6, and 3.0).
const CLOAK_READER = 3.5;
const CLOAK_CLIENT = 3.1;

/**
 * Hangs the hooks.
 */
function cloak_guard_uploads() {
	// Last, so that no other plugin changes a photo after it was made clean.
	add_filter( 'wp_handle_upload_prefilter', 'cloak_clean_upload', PHP_INT_MAX );
	add_filter( 'wp_handle_sideload_prefilter', 'cloak_clean_upload', PHP_INT_MAX );
	add_filter( 'xmlrpc_methods', 'cloak_wrap_xmlrpc', PHP_INT_MAX );
	add_filter( 'wp_xmlrpc_server_class', 'cloak_refuse_what_xmlrpc_cannot_read', PHP_INT_MAX );
	add_filter( 'wp_upload_bits', 'cloak_guard_bits', PHP_INT_MAX );
	// First, before another plugin moves the file somewhere else.
	add_filter( 'pre_move_uploaded_file', 'cloak_guard_move', PHP_INT_MIN, 2 );
}

/**
 * Rewrites an uploaded photo in its temporary place, or sets the error that WordPress shows.
 *
 * @param array $file An element of $_FILES.
 * @return array
 */
function cloak_clean_upload( $file ) {
	if ( ! empty( $file['error'] ) || empty( $file['tmp_name'] ) ) {
		return $file; // WordPress refuses it by itself.
	}
	try {
		$size = cloak_clean_file( $file['tmp_name'], $file['name'] );
	} catch ( Cloak_Refusal $refusal ) {
		$file['error'] = $refusal->getMessage();
		return $file;
	}
	$file['size'] = $size;
	return $file;
}

/**
 * The guard of moves, for callers with an upload action of their own: a file that may not be stored is removed, so
 * that WordPress says that it could not be moved.
 *
 * @param mixed $moved Null, unless another plugin has moved the file.
 * @param array $file  An element of $_FILES.
 */
function cloak_guard_move( $moved, $file ) {
	try {
		cloak_clean_file( $file['tmp_name'], $file['name'] );
	} catch ( Cloak_Refusal $refusal ) {
		wp_delete_file( $file['tmp_name'] );
	}
	return $moved;
}

/**
 * The guard of bytes: a photo that is not clean by now is refused.
 *
 * @param array|string $upload What wp_upload_bits() is about to store, or the error of another plugin.
 * @return array|string
 */
function cloak_guard_bits( $upload ) {
	if ( ! is_array( $upload ) || ! cloak_is_photo( $upload['bits'], $upload['name'] ) || cloak_is_clean( $upload['bits'] ) ) {
		return $upload;
	}
	return __( 'This photo came in by a way on which it cannot be made safe to publish. Upload it in the media library.', 'cloak' );
}

/**
 * Puts our function before the two methods of XML-RPC that store a file.
 *
 * @param array $methods Name => callback.
 * @return array
 */
function cloak_wrap_xmlrpc( $methods ) {
	foreach ( array( 'metaWeblog.newMediaObject', 'wp.uploadFile' ) as $name ) {
		if ( isset( $methods[ $name ] ) ) {
			$methods[ $name ] = 'cloak_xmlrpc_new_media_object';
		}
	}
	return $methods;
}

/**
 * Answers a request of XML-RPC that PHP has no memory to read: it would die of it, and the sender read nothing.
 *
 * @param string $name The class that is to answer.
 * @return string
 */
function cloak_refuse_what_xmlrpc_cannot_read( $name ) {
	if ( ! cloak_fits( CLOAK_READER * (int) ( $_SERVER['CONTENT_LENGTH'] ?? 0 ) ) ) {
		( new IXR_Server( array(), false, true ) )->error( 413, cloak_too_large() );
	}
	return $name;
}

/**
 * The method metaWeblog.newMediaObject, with a clean photo.
 *
 * @param array $args Blog, user, password, and a struct with name, type and bits.
 * @return array|IXR_Error
 */
function cloak_xmlrpc_new_media_object( $args ) {
	global $wp_xmlrpc_server;
	$name = $args[3]['name'] ?? '';
	$bits = $args[3]['bits'] ?? '';
	// WordPress answers strangers by itself; they get no work out of the service.
	$user = is_string( $bits ) && is_string( $name ) && $wp_xmlrpc_server->login( wp_slash( $args[1] ?? '' ), wp_slash( $args[2] ?? '' ) );
	if ( $user && current_user_can( 'upload_files' ) && cloak_is_photo( $bits, $name ) ) {
		try {
			$args[3]['bits'] = cloak_clean_bits( $bits );
		} catch ( Cloak_Refusal $refusal ) {
			return new IXR_Error( 500, $refusal->getMessage() );
		}
	}
	return $wp_xmlrpc_server->mw_newMediaObject( $args );
}

/**
 * Rewrites a file in place if it is a photo.
 *
 * @param string $path The temporary file.
 * @param string $name The name under which it is to be stored.
 * @return int Its size.
 * @throws Cloak_Refusal It may not be stored.
 */
function cloak_clean_file( $path, $name ) {
	$data = file_get_contents( $path );
	if ( false === $data ) {
		throw new Cloak_Refusal( __( 'The uploaded file cannot be read. Try again.', 'cloak' ) );
	}
	if ( ! cloak_is_photo( $data, $name ) ) {
		return strlen( $data );
	}
	$clean = cloak_clean_bits( $data );
	// In place: PHP moves an upload only from the path that it gave itself.
	if ( $clean !== $data && file_put_contents( $path, $clean ) !== strlen( $clean ) ) {
		throw new Cloak_Refusal( __( 'The photo was not stored, because the disk of the server is full. Tell your administrator.', 'cloak' ) );
	}
	clearstatcache( true, $path );
	return strlen( $clean );
}

/**
 * A photo made clean; one that this request made clean before stays as it is.
 *
 * @param string $photo The bytes of the photo.
 * @return string
 * @throws Cloak_Refusal It may not be stored.
 */
function cloak_clean_bits( $photo ) {
	if ( cloak_is_clean( $photo ) ) {
		return $photo;
	}
	wp_raise_memory_limit( 'image' );
	if ( ! cloak_fits( CLOAK_CLIENT * strlen( $photo ) ) ) {
		throw new Cloak_Refusal( cloak_too_large() );
	}
	$clean = cloak_anonymize( $photo );
	cloak_is_clean( $clean, true );
	return $clean;
}

/**
 * Whether PHP may take so much more memory.
 *
 * @param float $bytes How much.
 */
function cloak_fits( $bytes ) {
	$limit = wp_convert_hr_to_bytes( ini_get( 'memory_limit' ) );
	return $limit <= 0 || memory_get_usage() + $bytes < $limit;
}

/**
 * What the sender of a file reads that does not fit into PHP's memory.
 */
function cloak_too_large() {
	return __( 'This file was not stored, because it is too large for the memory that PHP has on this server. Upload it in the media library; if it is too large there too, ask your administrator to raise memory_limit.', 'cloak' );
}

/**
 * Whether these are bytes that the service gave us during this request.
 *
 * @param string $photo The bytes.
 * @param bool   $note  Note that they are.
 */
function cloak_is_clean( $photo, $note = false ) {
	static $known = array();
	$hash         = hash( 'sha256', $photo );
	if ( $note ) {
		$known[ $hash ] = true;
	}
	return isset( $known[ $hash ] );
}

/**
 * Whether a file calls itself a picture, or is one under another name.
 *
 * @param string $data Its bytes.
 * @param string $name Its name.
 */
function cloak_is_photo( $data, $name ) {
	$named = '/\.(jpe?g|jpe|jfif|jp2|jxl|png|apng|gif|webp|tiff?|bmp|dib|ico|hei[cf]s?|hif|avif|svgz?|psd|dng|cr[23w]|nef|arw|raf|orf|rw2)$/i';
	if ( preg_match( $named, $name ) || 0 === strpos( (string) wp_check_filetype( $name )['type'], 'image/' ) ) {
		return true;
	}
	// JPEG, PNG, GIF, WebP, TIFF and the raw formats built on it, Photoshop, JPEG XL; HEIC, AVIF and Canon's raw format.
	$begins = '/^(\xff\xd8\xff|\x89PNG|GIF8|RIFF.{4}WEBP|II[*+]\0|MM\0[*+]|II[RU]|8BPS|\xff\x0a|\0\0\0\x0cJXL |.{4}ftyp.{0,64}?(hei|hev|mif1|msf1|avi[fs]|crx ))/s';
	return 1 === preg_match( $begins, substr( $data, 0, 100 ) );
}
