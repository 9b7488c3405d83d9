/** An event for a participant's own log. */
export interface OwnEvent {
  readonly type: string
  readonly actor: Uint8Array
  readonly body: Uint8Array
}
