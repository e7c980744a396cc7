<?php
/**
 * The one error of this plugin.
 *
 * @package Cloak
 */

defined( 'ABSPATH' ) || exit;

/**
 * A photo is not stored; the message is for the person who uploads it.
 */
class Cloak_Refusal extends Exception {
}
