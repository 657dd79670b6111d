package diag

// Code is the stable number of one kind of finding. Texts may change, codes
// may not: a number, once given, keeps its meaning for good and is never given
// to anything else.
type Code string

// Files: what is wrong before a single word of the language was read.
const (
	FileUnreadable Code = "EP1001"
	FileTooBig     Code = "EP1002"
	FileEncoding   Code = "EP1003"
	FileNesting    Code = "EP1004"
	FileJSON       Code = "EP1005"
	Syntax         Code = "EP1010"
	NotAnOperator  Code = "EP1011"
	SplitSequence  Code = "EP1012"
	FormatMeaning  Code = "EP1020"
)

// Structure: blocks, arguments and names.
const (
	NotAPlaybook        Code = "EP1101"
	EmptyPlaybook       Code = "EP1102"
	UnsupportedLanguage Code = "EP1103"
	ToolVersion         Code = "EP1104"
	NotLiteral          Code = "EP1105"
	UnsupportedBlock    Code = "EP1106"
	UnsupportedArgument Code = "EP1107"
	MissingArgument     Code = "EP1108"
	BlockLabels         Code = "EP1109"
	DuplicateBlock      Code = "EP1110"
	DuplicateName       Code = "EP1111"
	DuplicateTask       Code = "EP1112"
	BadName             Code = "EP1113"
	UnknownTaskType     Code = "EP1114"
	SitePlaybook        Code = "EP1115"
	EmptyPhase          Code = "EP1116"
	BadVersion          Code = "EP1117"
	DeprecatedArgument  Code = "EP1118"
)

// References: names that do not exist, or not there, or not yet.
const (
	UnknownName        Code = "EP1201"
	UndeclaredVariable Code = "EP1202"
	LaterTask          Code = "EP1203"
	UnknownTask        Code = "EP1204"
	UnknownOutput      Code = "EP1205"
	LoopingTask        Code = "EP1206"
	OwnResults         Code = "EP1207"
	NameNotHere        Code = "EP1208"
	LocalCycle         Code = "EP1209"
	UnknownLocal       Code = "EP1210"
	UnknownAttribute   Code = "EP1211"
	UnknownFunction    Code = "EP1212"
	UnknownHost        Code = "EP1213"
	UnknownGroup       Code = "EP1214"
	NoReference        Code = "EP1215"
	NotLooping         Code = "EP1216"
)

// Values: what has the wrong type, or the right type and cannot be.
const (
	UnsuitableValue  Code = "EP1301"
	NullValue        Code = "EP1302"
	NotABool         Code = "EP1303"
	NotAHost         Code = "EP1304"
	UnlikeComparison Code = "EP1305"
	FunctionArgument Code = "EP1306"
	Evaluation       Code = "EP1307"
	BadType          Code = "EP1308"
	NoAnyType        Code = "EP1309"
	UnlikeBranches   Code = "EP1314"
	BadLoop          Code = "EP1311"
	EmptyLoop        Code = "EP1315"
)

// Tasks: what the type of a task does not allow.
const (
	NotRetryable    Code = "EP1401"
	NeedsHost       Code = "EP1402"
	TakesNoHost     Code = "EP1403"
	TwoTargets      Code = "EP1404"
	UnquotedInShell Code = "EP1405"
	NoConnection    Code = "EP1406"
	WrittenTwice    Code = "EP1407"
)

// Secrets.
const (
	SecretOnCommandLine Code = "EP1501"
	SecretShown         Code = "EP1502"
	SecretUncovered     Code = "EP1503"
)

// Variables, and the values given to them.
const (
	VariableValue     Code = "EP1601"
	MissingValue      Code = "EP1602"
	ValidationFailed  Code = "EP1603"
	UndeclaredValue   Code = "EP1604"
	BadAssignment     Code = "EP1605"
	ValuesFile        Code = "EP1606"
	WhichCluster      Code = "EP1607"
	DeprecatedInput   Code = "EP1608"
	UnusedDeclaration Code = "EP1609"
)

// Called playbooks.
const (
	CallCycle      Code = "EP1701"
	CallDepth      Code = "EP1702"
	CallUnknown    Code = "EP1703"
	CallMissing    Code = "EP1704"
	CallUnreadable Code = "EP1705"
)

// Site playbooks.
const (
	BaseUnreadable Code = "EP1801"
	BaseVersion    Code = "EP1802"
	BaseCycle      Code = "EP1803"
	BaseDepth      Code = "EP1804"
	NoBaseTask     Code = "EP1805"
	TaskLocked     Code = "EP1806"
	MisplacedTask  Code = "EP1807"
	DroppedUsed    Code = "EP1808"
	NoChange       Code = "EP1809"
	SitePhase      Code = "EP1810"
)

// Inventories.
const (
	NotAnInventory    Code = "EP5001"
	NoCluster         Code = "EP5002"
	UnknownConnection Code = "EP5003"
	BadAddress        Code = "EP5004"
	SameAddress       Code = "EP5005"
	SameMember        Code = "EP5006"
	BadMemberURL      Code = "EP5007"
	MixedSchemes      Code = "EP5008"
	SuspectURL        Code = "EP5009"
	BadDataDir        Code = "EP5010"
	ClusterSize       Code = "EP5011"
	BadTLS            Code = "EP5012"
	BadAuth           Code = "EP5013"
	TwoClusters       Code = "EP5014"
)

// Container Linux Configs: first what the transpilers find, then what they let
// pass.
const (
	ConfigSyntax     Code = "EP6001"
	ConfigValue      Code = "EP6002"
	ConfigKey        Code = "EP6003"
	ConfigVersion    Code = "EP6004"
	ConfigTemplating Code = "EP6005"
	ConfigEmpty      Code = "EP6006"

	ConfigCluster   Code = "EP6101"
	ConfigExpanded  Code = "EP6102"
	ConfigShadowed  Code = "EP6103"
	ConfigURL       Code = "EP6104"
	ConfigFlag      Code = "EP6105"
	ConfigContainer Code = "EP6106"
	ConfigDuplicate Code = "EP6107"
	ConfigWord      Code = "EP6108"
)

// Entry is a code with what it stands for.
type Entry struct {
	Code    Code
	Meaning string
}

// Codes lists every code of the language, in order.
func Codes() []Entry {
	return []Entry{
		{FileUnreadable, "a file cannot be read"},
		{FileTooBig, "a file is over 1 MiB"},
		{FileEncoding, "a file is not UTF-8 text"},
		{FileNesting, "brackets, templates or operators are nested too deeply"},
		{FileJSON, "a file is in HCL's JSON form"},
		{Syntax, "the text is not HCL"},
		{NotAnOperator, "a word stands where an operator belongs"},
		{SplitSequence, "a line break inside ${ } or %{ }"},
		{FormatMeaning, "formatting would change what a file means"},

		{NotAPlaybook, "a file has no playbook block, or is of another kind"},
		{EmptyPlaybook, "a playbook has no task"},
		{UnsupportedLanguage, "a file is written in another edition of the language"},
		{ToolVersion, "a playbook wants another version of etcdplay"},
		{NotLiteral, "a literal is needed"},
		{UnsupportedBlock, "a block that does not belong there"},
		{UnsupportedArgument, "an argument that does not exist"},
		{MissingArgument, "a required argument is missing"},
		{BlockLabels, "a block has too few or too many labels"},
		{DuplicateBlock, "a block that may stand once stands twice"},
		{DuplicateName, "two declarations have one name"},
		{DuplicateTask, "two tasks have one name"},
		{BadName, "a name holds what a name cannot hold"},
		{UnknownTaskType, "there is no such task type"},
		{SitePlaybook, "a part of site playbooks"},
		{EmptyPhase, "a phase has no task"},
		{BadVersion, "a version or a version constraint cannot be read"},
		{DeprecatedArgument, "an argument is deprecated"},

		{UnknownName, "there is nothing of that name"},
		{UndeclaredVariable, "a variable that is not declared"},
		{LaterTask, "the results of a later task are used"},
		{UnknownTask, "there is no task of that name"},
		{UnknownOutput, "a task has no result of that name"},
		{LoopingTask, "the results of a looping task are used without a key"},
		{OwnResults, "a task uses its own results where they do not exist"},
		{NameNotHere, "a name that is not known at that place"},
		{LocalCycle, "locals that depend on themselves"},
		{UnknownLocal, "there is no local of that name"},
		{UnknownAttribute, "a value has no attribute of that name"},
		{UnknownFunction, "there is no function of that name"},
		{UnknownHost, "the inventory has no host of that name"},
		{UnknownGroup, "the inventory has no group of that name"},
		{NoReference, "a reference where only a constant may stand"},
		{NotLooping, "a key is given for the results of a task that runs once"},

		{UnsuitableValue, "a value has the wrong type or form"},
		{NullValue, "a value is null and must not be"},
		{NotABool, "a condition is not a bool"},
		{NotAHost, "a target is not a host"},
		{UnlikeComparison, "values of different types are compared"},
		{FunctionArgument, "a function cannot take an argument"},
		{Evaluation, "an expression cannot be evaluated"},
		{BadType, "a type expression cannot be read"},
		{NoAnyType, "the type any"},
		{UnlikeBranches, "a conditional yields values of different types"},
		{BadLoop, "a loop over something that is no list or map, or whose keys clash"},
		{EmptyLoop, "a loop without a round"},

		{NotRetryable, "a retry block on a task that must not be repeated blindly"},
		{NeedsHost, "a task needs a host"},
		{TakesNoHost, "a task takes no host"},
		{TwoTargets, "two loops or two targets on one task"},
		{UnquotedInShell, "a value is put into a shell script without quoting"},
		{NoConnection, "an argument that only a host gives sense to"},
		{WrittenTwice, "two tasks write one file"},

		{SecretOnCommandLine, "a sensitive value on a command line"},
		{SecretShown, "a sensitive value where it would be shown"},
		{SecretUncovered, "a sensitive value is declared harmless"},

		{VariableValue, "a value does not suit its variable"},
		{MissingValue, "a variable has no value"},
		{ValidationFailed, "a validation does not hold"},
		{UndeclaredValue, "a value for a variable that is not declared"},
		{BadAssignment, "a --var that cannot be read"},
		{ValuesFile, "a file of values that cannot be read"},
		{WhichCluster, "the cluster of a run is not told"},
		{DeprecatedInput, "a value for a deprecated variable"},
		{UnusedDeclaration, "a variable or local that nothing uses"},

		{CallCycle, "playbooks that call each other in a circle"},
		{CallDepth, "playbooks that call each other too deeply"},
		{CallUnknown, "a value for something the called playbook does not declare"},
		{CallMissing, "the called playbook needs a value"},
		{CallUnreadable, "a called playbook cannot be loaded"},

		{BaseUnreadable, "the base of a site playbook cannot be loaded"},
		{BaseVersion, "the base of a site playbook has another version than the site wants"},
		{BaseCycle, "playbooks that extend each other in a circle"},
		{BaseDepth, "playbooks that extend each other too deeply"},
		{NoBaseTask, "a site playbook changes a task that its base does not have"},
		{TaskLocked, "a site playbook changes a task that is locked"},
		{MisplacedTask, "a task of a site playbook that has no place, or two"},
		{DroppedUsed, "a site playbook drops a task whose results are used"},
		{NoChange, "a part of a site playbook that changes nothing"},
		{SitePhase, "a phase in a site playbook"},

		{NotAnInventory, "a file has no inventory block, or is of another kind"},
		{NoCluster, "an inventory has no cluster"},
		{UnknownConnection, "a kind of connection that does not exist"},
		{BadAddress, "an address of a host that cannot be one"},
		{SameAddress, "two hosts are one machine"},
		{SameMember, "two members have one name or one peer URL"},
		{BadMemberURL, "a URL that no member can have"},
		{MixedSchemes, "peer URLs of one cluster with http and with https"},
		{SuspectURL, "a URL that looks like one of the other kind"},
		{BadDataDir, "a directory that cannot be a data directory"},
		{ClusterSize, "a number of members that no cluster should have"},
		{BadTLS, "TLS settings that do not fit together"},
		{BadAuth, "a password that is told twice or not at all"},
		{TwoClusters, "a host that is a member of two clusters"},

		{ConfigSyntax, "a Container Linux Config is no YAML, or nested too deeply"},
		{ConfigValue, "a value of a Container Linux Config has the wrong type"},
		{ConfigKey, "a key that the release of etcd does not have"},
		{ConfigVersion, "a version of etcd that cannot be configured so"},
		{ConfigTemplating, "braces that stand for nothing on the platform"},
		{ConfigEmpty, "a Container Linux Config without an etcd section"},

		{ConfigCluster, "an initial cluster with which etcd does not start"},
		{ConfigExpanded, "a value in which systemd expands % or $"},
		{ConfigShadowed, "a flag beside a variable of the same name"},
		{ConfigURL, "a URL with which etcd does not start, or cannot be reached"},
		{ConfigFlag, "a flag that this release of etcd does not know"},
		{ConfigContainer, "a path that etcd does not see in its container"},
		{ConfigDuplicate, "a key that is given twice"},
		{ConfigWord, "a word that etcd does not know"},
	}
}
