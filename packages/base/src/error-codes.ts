/**
 * Every error code of the project, with its exit class and the remedy that applies when the place that throws
 * knows no better one. `docs/reference/errors.md` is made from this table, and a test holds them equal.
 */
export interface ErrorRow {
  /** What has happened, for a reader of the reference page. */
  readonly meaning: string
  /** What to do about it. */
  readonly remedy: string
}

const row = (meaning: string, remedy: string): ErrorRow => ({ meaning, remedy })

export const ERROR_TABLE = {
  // base
  "encoding/bad-value": row(
    "A value cannot be written in the canonical encoding.",
    "Give a value of the stated type and range.",
  ),
  "encoding/malformed": row(
    "Bytes do not follow the canonical encoding: truncated, trailing, out of range or not in the one permitted form.",
    "Ask the sender for the bytes again; if it repeats, sender and receiver run different protocol versions.",
  ),
  "encoding/too-large": row(
    "A length on the wire exceeds the limit of its field.",
    "Reduce the message, or check that the sender speaks this protocol.",
  ),
  "random/bad-request": row(
    "A random stream was asked for an impossible amount or range.",
    "Ask for a whole, positive amount within the stated range.",
  ),
  // identity, roster
  "identity/bad-signature": row(
    "A message is not signed by the participant it names.",
    "Check that sender and receiver hold the same roster; if they do, someone altered the message: see the security events.",
  ),
  "identity/unknown-participant": row(
    "A message or request names somebody who is not enrolled in this study.",
    "Enrol the participant with its kit, or remove its configuration.",
  ),
  "identity/seal-broken": row(
    "A sealed message cannot be opened: it was altered, or sealed to somebody else or for another purpose.",
    "Ask the sender to send it again; if it repeats, compare the sealing keys in the roster.",
  ),
  "identity/bad-roster": row(
    "The list of participants contradicts itself or is not signed by the authority of the kit.",
    "Ask the authority for the roster again and compare the fingerprint in the kit with the one it publishes.",
  ),
  // store
  "store/locked": row(
    "Another process holds the data folder.",
    "Stop the process that the message names, or use another data folder.",
  ),
  "store/corrupt": row(
    "Stored bytes are not the bytes that were written.",
    "Restore the named file from a backup; do not edit or delete it, later records depend on it.",
  ),
  "store/full": row(
    "The disk or the quota has no room; nothing was changed.",
    "Free space on the disk of the data folder, then try again.",
  ),
  "store/replay-differs": row(
    "What a participant has recorded does not lead to what it did then: its files are of different times, or it runs another version than the one that wrote them.",
    "Bring back the version that wrote the data folder, or the folder as one piece from one time.",
  ),
  "store/failed": row(
    "The system refused to read or write a stored file, or the store is closed.",
    "Look at the cause, check the disk and the permissions of the data folder, then start again.",
  ),
  "store/missing": row("Something that was asked for is not in the store.", "Check the name or the digest."),
  "store/bad-name": row(
    "A name cannot be the name of a stored file.",
    "Use lower-case letters, digits, dot, dash and underscore, at most 100 of them, starting with a letter or digit.",
  ),
  "store/too-large": row("A transaction or record exceeds what one file frame can hold.", "Split it."),
  "store/open-permissions": row(
    "The file of the storage key can be read or written by other users of the machine.",
    "Run chmod 600 on it; if others may have read it, make a new key and enrol again.",
  ),
  "store/key-missing": row(
    "Sealed data is there, but the file of the storage key is not.",
    "Put the key file back from its backup; without it the sealed data cannot be opened by anybody.",
  ),
  "store/bad-key-file": row(
    "The file of the storage key does not hold a key.",
    "Put the key file back from its backup: 64 hexadecimal digits on one line.",
  ),
  "store/wrong-key": row(
    "The sealed data was sealed under another storage key.",
    "Name the key file that belongs to this data folder.",
  ),
  "store/unsealable": row(
    "Sealed bytes do not open: they were changed, or belong to another name or key.",
    "Restore the file from a backup.",
  ),
  // store: databases
  "store/newer-version": row(
    "The stored data was written by a later version of this program.",
    "Start that version or a later one again.",
  ),

  // identity
  "identity/bad-key": row(
    "A key is of the wrong length or kind, or is one of the few weak ones nobody may use.",
    "Make new keys; if it repeats, the sender misbehaves.",
  ),
  "identity/bad-name": row(
    "A participant or role has a name that cannot stand in a certificate.",
    "Use lower-case letters, digits and dashes, at most 63, starting and ending with a letter or digit.",
  ),
  "identity/bad-address": row(
    "An address is not of the form host:port, or its host is not one a participant may declare.",
    "Give a DNS name or IP address and a port, such as hospital.example:8443 or [::1]:8443.",
  ),
  "identity/bad-request": row(
    "A request to the authority is malformed, not signed by its keys, or not for the enrolled name.",
    "Run the same version everywhere, and ask from the kit and data folder of this participant.",
  ),
  "identity/kit-exists": row(
    "A kit or local configuration is already there; nothing was written.",
    "Choose an empty folder, or delete the old kits if they were never handed out.",
  ),
  "identity/bad-kit": row(
    "A kit is unreadable or was changed after it was signed.",
    "Ask the study owner for the kit again and do not edit the kit folder.",
  ),
  "identity/token-refused": row(
    "The authority does not know this enrolment token for this name.",
    "Ask the study owner for a new kit.",
  ),
  "identity/token-used": row(
    "The enrolment token was already used with other keys.",
    "If the first use was not yours, tell the study owner at once; otherwise restore the keys made then or ask for a new kit.",
  ),
  "identity/token-expired": row("The enrolment token has expired.", "Ask the study owner for a new kit."),
  "identity/key-in-use": row(
    "A key of the request already belongs to another participant.",
    "Let every participant make its own keys; never copy a data folder.",
  ),
  "identity/roster-closed": row(
    "A signed roster names this participant, so its address cannot change any more.",
    "Start at the address that was enrolled.",
  ),
  "identity/too-many-attempts": row(
    "Too many failed enrolments came from this address.",
    "Wait a minute, then check name and kit before trying again.",
  ),
  "identity/wrong-authority": row(
    "What answers at the authority's address is not the authority of the kit; no token was sent.",
    "Check the address in the kit and whether a proxy opens TLS connections; do not go on before it is explained.",
  ),
  "identity/authority-unreachable": row(
    "The authority did not answer in time.",
    "Check that the authority runs, its address, and the firewall; then start again.",
  ),
  "identity/enrolment-failed": row(
    "The authority answered in a way this version does not understand.",
    "Check that authority and participant run the same version.",
  ),
  "identity/certificate-required": row(
    "The connection shows no certificate of this study.",
    "Enrol first, and connect with the certificate that enrolment gave.",
  ),
  "identity/certificate-refused": row(
    "A certificate is not valid yet, or not issued for these keys by this study's authority.",
    "Compare the clocks of both machines, and check that kit and data folder belong together.",
  ),
  "identity/wrong-peer": row(
    "The other side is enrolled, but is not the participant that was expected.",
    "Check the address of that participant in the roster.",
  ),
  // the authority's studies, invitations, renewals
  "identity/certificate-expired": row(
    "A certificate has expired.",
    "Start the participant again with its kit and data folder: the authority gives the same keys a new certificate. If the clock of this machine is wrong, correct it first.",
  ),
  "identity/wrong-role": row(
    "A participant asked the authority for something that its role may not do.",
    "Ask from the right participant: studies are proposed and closed by the leader, and only a facility can leave.",
  ),
  "identity/unknown-study": row(
    "The authority has no study with this digest that names the caller.",
    "Ask for the list of studies, and check that leader and participant use the same authority.",
  ),
  "identity/roster-pending": row(
    "Not all participants of the first study have enrolled, so there is no roster yet.",
    "Wait until all have enrolled; the authority lists who is missing.",
  ),
  "identity/has-left": row(
    "The participant has left: its certificate is good for nothing more.",
    "To take part again, ask the study owner for an invitation under a new name.",
  ),
  "identity/stale-request": row(
    "A signed request is too old, or from the future.",
    "Correct the clock of this machine and ask again.",
  ),
  "identity/name-taken": row(
    "Somebody with this name is enrolled or has left; a name belongs to one set of keys for ever.",
    "Choose another name.",
  ),
  "identity/bad-invitation": row(
    "An invitation names a role or a parent that a newcomer cannot have.",
    "Invite facilities under an enrolled fog, and fogs under the leader.",
  ),
  "identity/too-many-studies": row(
    "More studies are open than one authority keeps.",
    "Close studies that have ended.",
  ),
  // admin socket
  "admin/not-running": row(
    "No process of this project runs in the data folder, so there is nobody to ask.",
    "Start the role, or use a command that reads the folder itself.",
  ),
  "admin/not-allowed": row(
    "The process that runs in the data folder belongs to another user of this machine.",
    "Run the command as the user that the role runs as.",
  ),
  "admin/no-answer": row(
    "The process that runs in the data folder did not answer in time, or broke off.",
    "Try again; if it repeats, look at the log of the role.",
  ),
  "admin/bad-request": row(
    "A command to a running role is malformed, too long, or has arguments it does not take.",
    "Use the command line of the version that the role runs.",
  ),
  "admin/unknown-command": row(
    "A running role does not know the command.",
    "Check that the folder is that of the right role, and that role and command line have the same version.",
  ),
  "admin/no-such-study": row(
    "No study of a running role, or more than one, has the name that was given.",
    "Give the name of the study, or the beginning of its id, from the list in the message.",
  ),
  "admin/failed": row(
    "A command failed inside a running role for a reason that it keeps to itself.",
    "Look at the log of the role.",
  ),
  // learning
  "learning/bad-cursor": row(
    "A batch cursor is no place in a permutation of the rows it is used with.",
    "Start a new cursor; it is kept only for as long as the facility's rows stay the same.",
  ),
  "learning/bad-examples": row(
    "Examples have lengths that disagree, a feature that is not finite, a label other than 0 and 1, or the wrong columns.",
    "Prepare the table with the study's schema, which removes or fills missing values.",
  ),
  "learning/bad-parameters": row(
    "Model parameters or an update have the wrong length or hold a value that is not finite.",
    "Check that model, update and server state belong to the same study and round.",
  ),
  "learning/bad-predictions": row(
    "Predictions cannot be scored: other lengths than the labels, not numbers, or probabilities outside 0 and 1.",
    "Give one prediction per label, and probabilities rather than logits where probabilities are asked for.",
  ),
  "learning/bad-setting": row(
    "A training setting is out of its range.",
    "Correct the setting that the message names.",
  ),
  "learning/diverged": row(
    "Training left the finite numbers.",
    "Lower the learning rate, and check that the features are standardised.",
  ),
  "learning/no-examples": row(
    "Training or a mean was asked for on no rows.",
    "Leave facilities without rows out of the cohort, or give them zero steps.",
  ),
  "learning/overflow": row(
    "Sums of a product of 16-bit integers might not fit 32 bits.",
    "Use smaller integers (fewer fractional bits), or cut the product into parts.",
  ),
  "model/inconsistent": row(
    "A model's parts contradict each other: tensors, feature names, flags or study.",
    "Give one distinct name per input, a study name, and flags of lower-case words joined by hyphens.",
  ),
  "model/unreadable": row(
    "Bytes are no model file of this version, or were cut off or altered.",
    "Fetch the model file again and compare its content hash with the announced one.",
  ),
  // models of a study
  "model/not-found": row(
    "A study has no model of the round or hash that was asked for, or none yet.",
    "Look at what there is with `consilium model list`.",
  ),
  "model/wrong-hash": row(
    "A model is another one than the hash it was asked for by.",
    "Verify the leader's log with `consilium audit verify`; use a model only if its hash is right.",
  ),
  "model/bad-decision": row(
    "A decision which model is in use lacks its round, its reason or a name, or has them in more than one line.",
    "Give --round, and one line each for --reason and --by.",
  ),
  // rounds
  "round/bad-study": row(
    "The numbers of a study contradict each other or a limit.",
    "Change the study as the message says and plan it again.",
  ),
  "round/not-finite": row(
    "Local training ended with a value that is not finite.",
    "Lower the learning rate, or check the records for extreme values.",
  ),
  "round/out-of-bound": row(
    "An opened sum lies outside what honest facilities can reach.",
    "The attempt is void. If it repeats, one facility sends values beyond the declared range: look at the security events.",
  ),
  "round/too-many-rows": row(
    "A facility has more rows than the study's statistics or evaluations are made for.",
    "Raise `most_rows` in the study, or set `policy.figures: none` at this facility: it then takes part in training alone.",
  ),
  "round/unexpected": row(
    "A message does not belong to the phase the receiver is in.",
    "Nothing need be done once; if it repeats, the sender is out of step and should be restarted.",
  ),
  "round/stale": row(
    "A message refers to a round or attempt that is over.",
    "Nothing need be done: late messages are dropped.",
  ),
  "round/equivocation": row(
    "One participant said two different things where only one may be said.",
    "Both are dropped and the evidence is logged: ask the participant's administrator what happened.",
  ),
  "round/wrong-model": row(
    "The announced model is not the one its hash names.",
    "Ask the leader's operator; the facility takes no part in the round.",
  ),
  "round/over": row(
    "A study that is over was to be stopped.",
    "Nothing need be done: `consilium study status` tells how it ended.",
  ),
  // cohorts and certificates
  "cohort/too-small": row(
    "A list holds fewer facilities than the study or this facility's policy demands.",
    "Wait until more facilities take part; a sum over fewer would show single updates.",
  ),
  "cohort/uncertified": row(
    "A sum was asked for that too few facilities have certified.",
    "Only a certified list is ever opened: ask the leader's operator why it asked without one.",
  ),
  "cohort/second-list": row(
    "A second, different list was proposed for an attempt that already has one.",
    "One list per attempt: the leader must announce a new attempt.",
  ),
  "cohort/wrong-member": row(
    "A list names a facility that is not enrolled, or a protected update other than the one submitted.",
    "Ask the leader's operator: the list does not match what the facilities sent.",
  ),
  "cohort/differencing": row(
    "A cohort was proposed whose sum, beside one already opened for the same model, would show too few facilities' update.",
    "Propose the same cohort again, or one that differs by at least the smallest cohort.",
  ),
  "cohort/missing-part": row(
    "This facility lacks a checked share of a member of the list.",
    "The others can open the sum if enough of them hold their shares; check the connection if it repeats.",
  ),
  // keys of an epoch
  "keys/left-out": row(
    "This facility's key is not among those shared in the epoch under way.",
    "It takes part again after the next key ceremony, which the leader holds before the next round; `consilium keys rotate` asks for one.",
  ),
  "keys/other-epoch": row(
    "An attempt names keys of another epoch than this facility holds.",
    "Keys of past epochs are destroyed: the leader must announce the round under the keys of the last ceremony.",
  ),
  "keys/too-old": row(
    "The epoch's keys have been used for longer than the study allows.",
    "The leader must hold a key ceremony before the next round.",
  ),
  "keys/none": row(
    "New keys were asked for in a study whose protection has none.",
    "Nothing need be done: only `ckks` and `bfv` encrypt under keys of the study. A participant who has lost its own keys is enrolled anew.",
  ),
  "keys/no-round": row(
    "New keys were asked for, and no round follows that they could serve.",
    "Nothing need be done: facilities destroy their keys when the study ends. `consilium study stop` ends it at once.",
  ),
  // logs
  "log/not-extending": row(
    "A log does not continue the one that was seen before.",
    "The leader has rewritten or forked its log: stop, export both heads and compare them.",
  ),
  "log/bad-body": row(
    "The body of a logged event does not match its hash.",
    "The log was altered after it was written: restore it from a copy and compare heads.",
  ),
  // secret sharing as used by sums
  "sharing/wrong-length": row(
    "A protected update or a share has the wrong number of bytes.",
    "Check that all participants run the same study and version.",
  ),
  "sharing/overflow": row(
    "A sum of updates leaves the range of its encoding.",
    "Lower the largest weight of the study.",
  ),
  // sharing
  "sharing/out-of-range": row(
    "A number does not fit the field of the secret sharing, or an opened entry is no signed integer within 2^53 - 1.",
    "Share whole numbers within 2^53 - 1 whose sum stays there too, and open sums only with enough shares.",
  ),
  "sharing/shape": row(
    "Vectors or challenges of different lengths were put together.",
    "Check that all of them belong to the same study, round and model.",
  ),
  "sharing/bad-parameters": row(
    "A threshold, a list of share points, a number of parties or a digest is not valid.",
    "Use a threshold of 2 or more, and one distinct point in [1, 65535] for each of at least that many recipients.",
  ),
  "sharing/too-few-shares": row(
    "There are fewer shares than the secret or the sum needs.",
    "Wait for more recipients; if too few remain, the attempt is void.",
  ),
  "sharing/inconsistent": row(
    "Shares of one secret contradict each other: at least one of them is false.",
    "Void the attempt and find out, from the logged openings, whose share is false.",
  ),
  "sharing/not-invertible": row(
    "Zero of a finite field was to be inverted.",
    "Divide by non-zero elements only.",
  ),
  "sharing/second-answer": row(
    "A dealer was asked to answer two challenges for one dealing, which would reveal sums of its secrets.",
    "Send the stored answer again; for another challenge, deal anew with fresh randomness.",
  ),
  // records
  "schema/invalid": row(
    "The description of a table contradicts itself, or features do not fit it.",
    "Correct the schema as the message says; no data was read.",
  ),
  "csv/too-large": row("A file exceeds a limit on bytes, rows or the length of a field.", "Split the file."),
  "csv/not-text": row(
    "A file is not UTF-8 text, or was decoded wrongly before it came here.",
    "Save the file as CSV in UTF-8.",
  ),
  "csv/malformed": row(
    "The quotes of a CSV file do not pair up.",
    "Write each quote inside a quoted field twice, and close every quoted field before the next comma.",
  ),
  "csv/empty": row("A file holds no usable row.", "Check that the right file was exported, with its rows."),
  "csv/bad-header": row(
    "The first row of a file does not name the columns of the schema, each once.",
    "Name the columns as the schema does.",
  ),
  "csv/bad-rows": row(
    "Fields of a file break the rules of their columns; no part of the file was used.",
    "Correct the named lines and columns at their source and export the file again.",
  ),
  "parquet/malformed": row(
    "A Parquet file is broken or not whole.",
    "Write the file again, or copy it again if it was cut off on the way.",
  ),
  "parquet/unsupported": row(
    "A Parquet file uses a part of the format that is not read, such as a compression or a kind of column.",
    "Write the file again as the message says, or save the table as CSV.",
  ),
  "records/bad-mapping": row(
    "A mapping file does not fit its schema or contradicts itself; no record was read.",
    "Correct the mapping as the message says.",
  ),
  "records/bad-preparation": row(
    "What a study declares about its table (features, constants for missing values) does not fit the records' schema.",
    "Correct `data` or the features in study.yaml as the message says, before the study is signed.",
  ),
  "records/nothing-left": row(
    "Every row lacks a value that the study trains on, so none is left.",
    "Fill in the missing values at their source, check the mapping, or let the study declare `data.missing: impute`.",
  ),
  "records/too-few": row(
    "A profile of so few patients would tell about single ones.",
    "Profile a file of at least as many patients as the message says.",
  ),
  "records/bad-rows": row(
    "Rows, features, labels and patients of a table do not fit together.",
    "Give every row one label, one patient and one finite value per column.",
  ),
  "records/bad-selection": row(
    "A row was asked for that is not there.",
    "Select rows from 0 to the count less one.",
  ),
  "records/bad-split": row(
    "Patients cannot be split into training and test as asked.",
    "Ask for a test share between 0 and 1, of at least two patients.",
  ),
  "records/bad-standardiser": row(
    "Means and deviations do not fit the columns, or cannot be computed or declared.",
    "Fit on at least one training row, declare deviations above 0, and keep columns in one order.",
  ),
  "records/wrong-file": row(
    "A file of a published data set is not the published file.",
    "Download the file again.",
  ),
  "records/unclear-coding": row(
    "It cannot be told from a heart file how its target or its categories are coded.",
    "Say how the file is coded.",
  ),
  "records/bad-profile": row(
    "Synthetic rows were asked for with numbers that make no sense.",
    "Correct the number that the message names.",
  ),
  "records/unknown-unit": row(
    "Values in one unit cannot be converted into another.",
    "Give the values in a unit that the message names.",
  ),
  // records: images
  "records/bad-image": row(
    "An image, a file of images or its labels are not of the form that is read, were altered, or do not fit each other.",
    "Look at the files that the message names by their places; export or download them again.",
  ),
  "records/bad-image-setting": row(
    "Sizes, classes, changes or scales of images make no sense.",
    "Correct the setting that the message names.",
  ),
  // privacy
  "privacy/bad-parameter": row(
    "A number of a privacy mechanism, event or budget makes no sense.",
    "Correct the number that the message names; noise is a standard deviation, probabilities lie in [0, 1].",
  ),
  "privacy/forged-evidence": row(
    "What was shown of a facility's privacy ledger is not signed by that facility, or not certified as it claims to be.",
    "It is not believed and changes nothing: ask the leader's operator where it came from.",
  ),
  "privacy/ledger-rolled-back": row(
    "A facility's privacy ledger lacks entries that it held once: its data folder was deleted in part, or restored from an older copy, and what the missing entries spent would be forgotten.",
    "Bring back the newest copy of the data folder. If it is lost, start the ledger anew with `consilium privacy ledger reset`: the whole budget of the month then counts as spent.",
  ),
  "privacy/ledger-whole": row(
    "A privacy ledger was to be started anew although nothing is missing from it.",
    "Nothing need be done: look at it with `consilium privacy ledger`.",
  ),
  "privacy/no-ledger-head": row(
    "An update in a study with differential privacy does not name its facility's privacy ledger, or an update of another study does.",
    "Run the same version everywhere; the update was not taken.",
  ),
  "privacy/peer-ledger-set-back": row(
    "A list holds a facility whose privacy ledger does not go on from where it was: what that facility spent before may be forgotten.",
    "Ask that facility's administrator; no list with it is signed until its ledger is whole or was started anew.",
  ),
  "privacy/too-many-patients": row(
    "A facility has more training patients than the study's sums are made for.",
    "Start a study whose privacy.most_patients is at least as many, or let this facility sit out.",
  ),
  "privacy/unreachable": row(
    "No amount of noise reaches the privacy that was asked for.",
    "Ask for a larger epsilon or delta, fewer steps, or another mechanism.",
  ),
  "privacy/wrong-batch": row(
    "A private training step got gradients that are not those of the batch drawn for it.",
    "Call nextBatch before each step, and give one gradient for each of its rows.",
  ),
  // configuration of a node
  "config/invalid": row(
    "A configuration file has an unknown key, a wrong type or a value out of range.",
    "Correct the keys that the message names; the sample files name every key with its unit.",
  ),
  "config/not-available": row(
    "A configuration asks for something that this version does not have.",
    "Choose one of those that the message names.",
  ),
  "config/unreadable": row(
    "A configuration file cannot be read.",
    "Check the path and the file's permissions.",
  ),
  "config/exists": row(
    "A study was to be laid out where one already is.",
    "Choose another folder, or delete the old one first.",
  ),
  "records/unreadable": row(
    "A facility's records cannot be read.",
    "Check the path, in facility.yaml or on the command line, and its permissions.",
  ),
  // network
  "network/port-taken": row(
    "None of the ports that a role may listen on is free.",
    "Stop what uses them, or name others (0 takes a free one) under `listen`.",
  ),
  "network/overloaded": row(
    "A participant does not fetch what waits for it.",
    "Check that its process runs and reaches its parent.",
  ),
  "network/gap": row(
    "Messages of a participant are missing between those that arrived.",
    "Restart the participant: it sends again what was not received.",
  ),
  "network/bad-request": row(
    "A request between participants is malformed, or there is nothing at its address.",
    "Run the same version everywhere; if it repeats, look at who sends it.",
  ),
  "network/unknown-study": row(
    "A participant asked its parent for a study that the parent does not take part in.",
    "Wait until the parent has taken up the study; check that both belong to the same authority.",
  ),
  "network/stopping": row("A participant is ending and takes nothing more.", "Try again when it runs again."),
  "network/refused": row(
    "The other side refused a request.",
    "Read the reason it gave; check that both run the same version and study.",
  ),
  // network: limits and uploads
  "network/too-large": row(
    "A request, its headers or an upload exceeds what a participant takes.",
    "Run the same version everywhere; large parcels are uploaded in chunks.",
  ),
  "network/answer-too-large": row(
    "A server's answer is longer than it can be; it was cut off while it was read.",
    "Ask the server's operator: it does not do what its plan says.",
  ),
  "network/readable-token": row(
    "A token was to be sent over a connection that others can read.",
    "Use the server's https:// address.",
  ),
  "network/too-slow": row(
    "A request did not arrive in time.",
    "Check the network; it is sent again by itself.",
  ),
  "network/too-many-requests": row(
    "A participant asks more often, or for more at once, than its parent answers.",
    "Nothing need be done once; if it repeats, look at what the participant runs.",
  ),
  "network/too-many-uploads": row(
    "A participant has begun more uploads than its parent keeps.",
    "Wait: unfinished uploads are dropped after an hour. Run only one process per participant.",
  ),
  "network/unknown-upload": row(
    "A parcel was named that was not uploaded, or was dropped because nothing came for too long.",
    "Nothing need be done: it is uploaded again.",
  ),
  "network/wrong-offset": row(
    "Bytes of an upload do not follow those that are there.",
    "Nothing need be done: the sender asks how many are there and goes on from them.",
  ),
  "network/wrong-digest": row(
    "The bytes of an upload are not those of its digest.",
    "Nothing need be done once: it is uploaded again. If it repeats, check the disks of both machines.",
  ),
  "network/failed": row(
    "A participant failed at a request for a reason that it keeps to itself.",
    "Look at the log of that participant.",
  ),
  // the leader's HTTP API
  "api/malformed": row(
    "A request is not what its route takes.",
    "Compare it with the description that the leader serves at /openapi.json.",
  ),
  "api/bad-position": row(
    "A stream of events was to be resumed at a place that the leader's logs do not have.",
    "Read the stream from the start; if the leader was restored from a backup, compare its log head with a copy first.",
  ),
  "api/too-large": row(
    "A request or one of its headers exceeds what its route takes.",
    "Send less; the message names the limit.",
  ),
  "api/too-slow": row("A request did not arrive in time.", "Check the network, then send it again."),
  "api/unsupported-type": row(
    "A request's body is of a type that its route does not read.",
    "Send JSON as application/json, or YAML as application/yaml.",
  ),
  "api/not-found": row(
    "Nothing is at this address.",
    "Compare it with the description that the leader serves at /openapi.json.",
  ),
  "api/wrong-method": row(
    "The address is right, but takes requests of another method.",
    "Use a method that the answer's Allow header names.",
  ),
  "api/unauthenticated": row(
    "The request shows no valid token.",
    "Send a token of this leader as `Authorization: Bearer ...`; the leader's operator issues them.",
  ),
  "api/forbidden": row(
    "The token is valid, but its role may not do this.",
    "Ask the study owner for a token whose role may.",
  ),
  "api/foreign-host": row(
    "A request without a token named another host than this machine's loopback, as a page that rebinds a name would.",
    "Use http://127.0.0.1 or http://localhost on the leader's own machine, or send a token.",
  ),
  "api/foreign-origin": row(
    "A page of another origin sent the request.",
    "Use the page that the leader itself serves, or a program that is no browser.",
  ),
  "api/too-many-requests": row(
    "Too many requests came from this address.",
    "Wait as long as the answer's Retry-After header says.",
  ),
  "api/overloaded": row(
    "All event streams that the leader offers are in use.",
    "Close a page that is no longer needed, or try again later.",
  ),
  "api/key-reused": row(
    "An idempotency key came a second time with another request.",
    "Use a fresh key for every new request, and the same key only to repeat one.",
  ),
  "api/already-started": row(
    "The study that was to be started is already there.",
    "Look at it under its id; for another run with the same settings leave the nonce out.",
  ),
  "api/other-participants": row(
    "A study names other participants than those who are present.",
    "Leave the participants out, or name exactly those who are present.",
  ),
  "api/not-available": row(
    "A study was asked for by a name whose parts this version or leader does not have.",
    "Choose another kind of privacy; CHANGELOG.md says what each version has.",
  ),
  "api/not-ready": row("The leader is starting or ending.", "Try again in a few seconds."),
  "api/failed": row(
    "The leader failed at a request; nothing about the cause is told to the outside.",
    "Look into the leader's own log.",
  ),
  // audit
  "audit/failed": row(
    "A log does not prove what it says.",
    "Keep the log as evidence and compare it with copies: from the named event on it cannot be trusted.",
  ),
  "audit/rewritten": row(
    "A log differs from what the facilities signed.",
    "Keep the log and the co-signed heads as evidence: its writer has changed the past. Facilities' copies of the heads tell since when.",
  ),
  "audit/truncated": row(
    "The end of a log, or of its export, is missing.",
    "Ask for the whole log; if its writer has no more, it has cut off what the facilities signed. An export that broke off is made again.",
  ),
  "audit/bad-head": row(
    "A co-signed head that was given for comparison does not hold.",
    "Ask the facility that gave it for its heads again; it tells nothing about the log.",
  ),
  "audit/no-study": row(
    "The data folder does not hold the one study that is meant.",
    "Name it with --study, and give the configuration file of the participant that took part.",
  ),
  "audit/no-file": row(
    "A file that an audit needs cannot be read.",
    "Check the path and that this user may read it.",
  ),
  "audit/bad-authority": row(
    "What was given is not an authority's public signing key.",
    "Copy the signing key from a kit (kit.json, authority.signingKey) or from the authority itself.",
  ),
  "audit/bad-bundle": row(
    "An exported log was changed after it was written, or is none.",
    "Ask for the export again and compare its fingerprint; the named part is the first that differs.",
  ),
  // lattice
  "lattice/bad-ring": row(
    "A ring or a packing of numbers into it was asked for with parameters that do not fit together.",
    "Take the degree and the primes of a checked parameter set; the message names the numbers that do not fit.",
  ),
  "lattice/bad-polynomial": row(
    "A polynomial, a key or a vector has not the size that its ring needs.",
    "Use values of one ring only, and vectors of the length that was agreed.",
  ),
  "lattice/malformed": row(
    "Packed polynomials have the wrong length or hold a number that is no residue.",
    "Ask the sender for the bytes again; if it repeats, the two sides use different parameters.",
  ),
  "lattice/out-of-range": row(
    "A number is larger than its place in a polynomial allows.",
    "Lower the largest value of the study, or choose parameters with wider lanes.",
  ),
  // lattice: sums
  "lattice/other-sum": row(
    "A protected update, a share or a partial opening belongs to another study, epoch, attempt or party.",
    "Drop it, and ask its sender for the one of this sum.",
  ),
  "lattice/already-used": row(
    "A key or a polynomial was to be used a second time, or opened by other facilities or for another cohort.",
    "Send the stored bytes again if the request is the same; else refuse it: a second answer can reveal keys.",
  ),
  "lattice/worn-out": row(
    "An epoch's keys have been used for as many openings as keep them secret.",
    "Begin a new key epoch with its own ceremony.",
  ),
  "lattice/bad-opening": row(
    "Partial openings are too few, from the wrong facilities, contradict each other, or do not open the sum.",
    "Start another attempt; without a proof it cannot be told whose part was wrong.",
  ),
  "lattice/no-parameters": row(
    "No safe parameters exist for what was asked of a sum, or given ones do not fit together.",
    "Lower the largest value, the number of facilities or the polynomials of an epoch; the message or explanation names the numbers.",
  ),
  // lattice: parameters, ckks, bfv
  "lattice/insecure": row(
    "Parameters have more bits of modulus than their degree allows for 128 bits of security.",
    "Take fewer or smaller primes, or the next degree; the message names both numbers.",
  ),
  "lattice/foreign": row(
    "A key, a plaintext or a ciphertext belongs to other parameters than the ones it is used with.",
    "Make both sides with the same degree and primes.",
  ),
  "lattice/missing-key": row(
    "An operation needs a key that was not given.",
    "Make and pass the relinearisation key, or the Galois key of the rotation that the message names.",
  ),
  "level/none-left": row(
    "A ciphertext has no prime left to give up.",
    "Choose parameters with more primes, or multiply less deeply; the simulator tells the depth beforehand.",
  ),
  "level/mismatch": row(
    "Two values are at different levels, or of different sizes.",
    "Lower the higher one to the level of the other first, and relinearise where a product is used further.",
  ),
  "scale/mismatch": row(
    "Two values have different scales.",
    "Encode the plaintext at the scale of the ciphertext, or bring both to one scale by a product and a rescale.",
  ),
  "scale/out-of-range": row(
    "A scale is too small to hold digits or too large for the primes that are left.",
    "Rescale after products, or choose a smaller scale; the message names the bits.",
  ),
  // inference
  "inference/bad-schema": row(
    "What a model asks of a patient contradicts itself.",
    "Correct the field or column that the message names.",
  ),
  "inference/bad-model": row(
    "A model's numbers do not fit each other or its columns, or were scaled by one facility's own statistics.",
    "Give the model as it was trained, with the scaling of the study or declared constants.",
  ),
  "inference/no-plan": row(
    "No safe parameters evaluate this model on encrypted patients within the wanted error.",
    "Narrow the declared ranges, retrain with a range penalty, or accept a larger error; the message names the layer.",
  ),
  "inference/bad-patient": row(
    "Something a model asks of a patient is missing, unknown or outside its declared range; nothing was encrypted.",
    "Correct the field that the message names.",
  ),
  "inference/other-plan": row(
    "A request, an answer or a key was made for another plan.",
    "Fetch the plan of the model again, compare the hashes, and repeat the request.",
  ),
  "inference/malformed": row(
    "Bytes of a request, an answer, a key or a plan do not have the one form that they can have.",
    "Send the request again; if it repeats, client and server run different versions.",
  ),
  "inference/too-many": row(
    "A request holds no patient, or more than one request of this plan can.",
    "Divide the patients over several requests.",
  ),
  "inference/unknown-key": row(
    "A request names a key that was not given, or of another asker.",
    "Upload the key for this plan first, and name it as its hash says.",
  ),
  "inference/key-replayed": row(
    "A key or the nonce that it was made for has been used before.",
    "Ask for a new nonce and make a new key for it.",
  ),
  "inference/budget-spent": row(
    "The asker has had as many answers as this model gives to one.",
    "Ask the operator of the model; further answers would tell the model's weights.",
  ),
  "inference/bad-answer": row(
    "An answer belongs to another request, or holds a logit that the model cannot give.",
    "Repeat the request; if it repeats, the server computes another model than its plan says.",
  ),
  // inference: serving
  "inference/no-model": row(
    "Encrypted patients are for a model that is not there.",
    "Read the names of the models from /v1/models.",
  ),
  "inference/not-offered": row(
    "A model is known and cannot be asked.",
    "Do what the message says, or ask another model of /v1/models.",
  ),
  "inference/no-batch": row(
    "A batch is not there: it was fetched long ago, deleted, lost in a restart, or is another asker's.",
    "Send the batch again.",
  ),
  "inference/batch-not-done": row(
    "The answers of a batch were asked for before all of them were there.",
    "Ask for the batch's state first, and for its answers once it is done.",
  ),
  "inference/overloaded": row(
    "The server has no room for another request or batch at the moment; nothing of it was kept.",
    "Wait as long as the answer's retry-after says, and send it again.",
  ),
  "inference/blank-used": row(
    "A blank, made before its patients were known, was to be filled a second time, which would show the differences of patients.",
    "Take a fresh blank for every request; to send one request again, send its bytes again.",
  ),
  "inference/other-questions": row(
    "A model was replaced by a version that asks for other fields, units or categories, so patients written for the old one were not sent.",
    "Connect again and write the patients for the new version's fields.",
  ),
  "inference/client-closed": row(
    "Something was asked of a client, or of keys, that were closed.",
    "Connect again.",
  ),
  "inference/worker-ended": row(
    "The worker that holds a page's keys ended, or could not be started.",
    "Reload the page; if it repeats, check that its content security policy permits the worker's script and WebAssembly.",
  ),
  "inference/missing-file": row(
    "A file that belongs to a model, a compiled folder or an asker's keys is not there.",
    "Give the folder or file that the command before wrote, or run that command again.",
  ),
  "inference/bad-file": row(
    "A file of a model, a compiled folder or an asker's keys does not hold what it should.",
    "Correct the place that the message names, or have the file written again.",
  ),
  // inference: calibration, evaluation
  "inference/bad-calibration": row(
    "A stored calibration is none: its slope or temperature is not above 0, or its steps do not rise.",
    "Fit the calibration again, and do not edit a plan by hand.",
  ),
  "inference/bad-hold-out": row(
    "Held-out patients do not allow a calibration: too few of a label, one logit for all, or labels that a threshold parts.",
    "Hold out more patients that the model was not trained on, or use it without calibration and say so.",
  ),
  "inference/bad-measurements": row(
    "Measurements of plain and encrypted predictions do not belong together: other numbers of patients, or times or sizes that cannot be.",
    "Measure both on the same patients in the same order, with one time and one size per request.",
  ),
  // doctor
  "cli/old-node": row(
    "This version of Node.js is too old.",
    "Install a current Node.js, then run the command again.",
  ),
  "cli/stale-build": row(
    "The program was built from other sources than those that are here.",
    "Run `npm run build`.",
  ),
  "random/little-entropy": row(
    "The system's random generator is not ready, so keys made now could be guessed.",
    "Start the system's random number service, or give a virtual machine a random device.",
  ),
  "network/no-loopback": row(
    "Neither 127.0.0.1 nor ::1 can be listened on.",
    "Bring up the loopback interface (`ip link set lo up`), or allow it in the container.",
  ),
  "network/unreachable": row(
    "A participant does not answer at its address.",
    "Check that it runs, and that firewalls let outbound connections to its address through.",
  ),
  "store/little-room": row(
    "A disk has little room left: a role would soon have to stop.",
    "Free space on the disk that the message names.",
  ),
  "store/few-files": row(
    "This process may open few files at once, so a role with many connections would fail.",
    "Raise the limit with `ulimit -n 4096`, or LimitNOFILE in the service unit.",
  ),
  "identity/not-enrolled": row(
    "The participant has never enrolled, so it is in no study yet.",
    "Start its role once, with the authority running.",
  ),
  // command line
  "cli/usage": row("A command was given words it does not know.", "Run the command with --help."),
  "cli/file-exists": row(
    "A report was to be written where a file is already.",
    "Choose another name with --out, or give --force to write over it.",
  ),
  "cli/not-available": row(
    "A switch asks for a part that this version does not have.",
    "Leave the switch out; CHANGELOG.md says what each version has.",
  ),
  "cli/bench-failed": row(
    "A program that is measured ended, or computed other losses than the engine.",
    "Read the message; if the machine ran out of memory, end other programs and try again.",
  ),
  "cli/process-ended": row(
    "A process of the demo ended before the study was complete.",
    "Read the last lines of its log, which the message names.",
  ),
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERROR_TABLE
