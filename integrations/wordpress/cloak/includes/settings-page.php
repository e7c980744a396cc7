<?php
/**
 * Settings > Cloak: where the service is, and a button that tries it.
 *
 * @package Cloak
 */

defined( 'ABSPATH' ) || exit;

/**
 * Hangs the hooks.
 */
function cloak_add_settings_page() {
	add_action(
		'admin_menu',
		function () {
			add_options_page( __( 'Cloak', 'cloak' ), __( 'Cloak', 'cloak' ), 'manage_options', 'cloak', 'cloak_show_settings_page' );
		}
	);
	add_action(
		'admin_init',
		function () {
			register_setting( 'cloak', 'cloak', array( 'sanitize_callback' => 'cloak_sanitize' ) );
		}
	);
	add_action( 'admin_post_cloak_test', 'cloak_test_service' );
}

/**
 * Settings as they may be stored; a faulty one is named, and the old one stays.
 *
 * @param mixed $input What the form sent.
 * @return array{address: string, token: string, pipeline: string}
 */
function cloak_sanitize( $input ) {
	$input  = array_map( 'trim', array_filter( (array) $input, 'is_string' ) );
	$stored = array_merge( CLOAK_DEFAULTS, (array) get_option( 'cloak', array() ) );
	$values = array_intersect_key( $stored, CLOAK_DEFAULTS );
	if ( isset( $input['address'] ) && cloak_is_address( $input['address'] ) ) {
		// Another server must not be handed the token of the old one.
		$values['token']   = $input['address'] === $values['address'] ? $values['token'] : '';
		$values['address'] = esc_url_raw( untrailingslashit( $input['address'] ), array( 'http', 'https' ) );
	} elseif ( isset( $input['address'] ) ) {
		add_settings_error( 'cloak', 'address', __( 'The address must look like http://127.0.0.1:8571 or https://cloak.example.org.', 'cloak' ) );
	}
	if ( isset( $input['pipeline'] ) && preg_match( '/^[A-Za-z0-9_-]{1,64}$/', $input['pipeline'] ) ) {
		$values['pipeline'] = $input['pipeline'];
	} elseif ( isset( $input['pipeline'] ) ) {
		add_settings_error( 'cloak', 'pipeline', __( 'The pipeline must be a name that the service knows, such as cms.', 'cloak' ) );
	}
	// A header of HTTP: no spaces, no line breaks. Empty leaves the stored token as it is.
	if ( ! empty( $input['token'] ) && preg_match( '/^[\x21-\x7e]{1,512}$/', $input['token'] ) ) {
		$values['token'] = $input['token'];
	} elseif ( ! empty( $input['token'] ) ) {
		add_settings_error( 'cloak', 'token', __( 'The token must have no spaces and no special characters.', 'cloak' ) );
	}
	if ( ! empty( $input['forget'] ) ) {
		$values['token'] = '';
	}
	return $values;
}

/**
 * The test button: a small photo of a face goes the whole way of a photo.
 */
function cloak_test_service() {
	check_admin_referer( 'cloak_test' );
	if ( ! current_user_can( 'manage_options' ) ) {
		wp_die( esc_html__( 'Sorry, you are not allowed to do this.', 'cloak' ), 403 );
	}
	try {
		$started = microtime( true );
		cloak_anonymize( file_get_contents( dirname( __DIR__ ) . '/test-photo.jpg' ) );
		/* translators: %d: milliseconds. */
		$words = sprintf( __( 'Cloak works: a test photo came back clean after %d ms.', 'cloak' ), 1000 * ( microtime( true ) - $started ) );
		add_settings_error( 'cloak', 'test', $words, 'success' );
	} catch ( Cloak_Refusal $refusal ) {
		/* translators: %s: what failed. */
		add_settings_error( 'cloak', 'test', sprintf( __( 'Cloak does not work, and photos are refused: %s', 'cloak' ), $refusal->getMessage() ) );
	}
	set_transient( 'settings_errors', get_settings_errors(), 30 );
	wp_safe_redirect( admin_url( 'options-general.php?page=cloak&settings-updated=1' ) );
	exit;
}

/**
 * The page.
 */
function cloak_show_settings_page() {
	$settings = cloak_settings();
	$plain    = 'http' === wp_parse_url( $settings['address'], PHP_URL_SCHEME );
	$local    = in_array( wp_parse_url( $settings['address'], PHP_URL_HOST ), array( '127.0.0.1', 'localhost', '[::1]' ), true );
	?>
	<div class="wrap">
		<h1><?php esc_html_e( 'Cloak', 'cloak' ); ?></h1>
		<p><?php esc_html_e( 'Every photo goes to the cloak service before WordPress stores it. It comes back with all faces concealed and without metadata, or the upload is refused. While the service does not answer, no photo can be uploaded.', 'cloak' ); ?></p>
		<?php if ( $plain && ! $local ) : ?>
			<div class="notice notice-warning inline"><p><?php esc_html_e( 'Photos and the token go to another machine without encryption. Use https, unless the network between is yours alone.', 'cloak' ); ?></p></div>
		<?php endif; ?>
		<form action="options.php" method="post">
			<?php settings_fields( 'cloak' ); ?>
			<table class="form-table" role="presentation">
				<?php
				cloak_show_row( 'address', __( 'Address', 'cloak' ), 'url', $settings['address'], __( 'Where cloak serve listens.', 'cloak' ) );
				cloak_show_row( 'token', __( 'Token', 'cloak' ), 'password', '', '' === $settings['token'] ? __( 'None is set. The service demands one unless it runs on this machine.', 'cloak' ) : __( 'One is set. Leave the field empty to keep it.', 'cloak' ) );
				cloak_show_row( 'pipeline', __( 'Pipeline', 'cloak' ), 'text', $settings['pipeline'], __( 'How photos are treated: cms, or a name that the service was started with.', 'cloak' ) );
				?>
			</table>
			<?php if ( '' !== $settings['token'] && ! cloak_is_fixed( 'token' ) ) : ?>
				<p><label><input type="checkbox" name="cloak[forget]" value="1"> <?php esc_html_e( 'Forget the token', 'cloak' ); ?></label></p>
			<?php endif; ?>
			<?php submit_button(); ?>
		</form>
		<form action="<?php echo esc_url( admin_url( 'admin-post.php' ) ); ?>" method="post">
			<input type="hidden" name="action" value="cloak_test">
			<?php
			wp_nonce_field( 'cloak_test' );
			submit_button( __( 'Test the saved settings', 'cloak' ), 'secondary', 'submit', false );
			?>
		</form>
	</div>
	<?php
}

/**
 * One row of the form; a value that wp-config.php sets is shown, but not asked for.
 *
 * @param string $name  A key of CLOAK_DEFAULTS.
 * @param string $label Its label.
 * @param string $type  Of the input.
 * @param string $value What is shown.
 * @param string $help  One sentence.
 */
function cloak_show_row( $name, $label, $type, $value, $help ) {
	$fixed = cloak_is_fixed( $name );
	?>
	<tr>
		<th scope="row"><label for="cloak-<?php echo esc_attr( $name ); ?>"><?php echo esc_html( $label ); ?></label></th>
		<td>
			<input id="cloak-<?php echo esc_attr( $name ); ?>" name="cloak[<?php echo esc_attr( $name ); ?>]" type="<?php echo esc_attr( $type ); ?>" value="<?php echo esc_attr( $value ); ?>" class="regular-text" autocomplete="<?php echo 'password' === $type ? 'new-password' : 'off'; ?>" <?php disabled( $fixed ); ?>>
			<p class="description">
				<?php
				/* translators: %s: a constant of wp-config.php. */
				echo esc_html( $fixed ? sprintf( __( 'Set by %s in wp-config.php.', 'cloak' ), cloak_constant( $name ) ) : $help );
				?>
			</p>
		</td>
	</tr>
	<?php
}
