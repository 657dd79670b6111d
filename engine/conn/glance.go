package conn

import "context"

// Glance is one look at a path, to be taken together with others: first what is
// asked, then what was seen. Exactly what the method of that name of a Reader
// would have returned is in the field for it, and in Err.
type Glance struct {
	What GlanceKind
	Path string

	Info  Info   // of Stat
	Infos []Info // of ReadDir
	Data  []byte // of ReadFile
	Err   error
}

// GlanceKind says which method of a Reader a Glance stands for.
type GlanceKind int

// The kinds of glances.
const (
	Stat GlanceKind = iota
	ReadDir
	ReadFile
)

// Glancer is a Reader to whom several looks cost no more than one, because each
// is a way to the host and back.
type Glancer interface {
	Glance(ctx context.Context, all []*Glance)
}

// LookAt takes all these looks, at once where r can.
func LookAt(ctx context.Context, r Reader, all ...*Glance) {
	if g, ok := r.(Glancer); ok {
		g.Glance(ctx, all)
		return
	}
	for _, g := range all {
		g.Take(ctx, r)
	}
}

// Take takes the look by itself.
func (g *Glance) Take(ctx context.Context, r Reader) {
	switch g.What {
	case ReadDir:
		g.Infos, g.Err = r.ReadDir(ctx, g.Path)
	case ReadFile:
		g.Data, g.Err = r.ReadFile(ctx, g.Path)
	default:
		g.Info, g.Err = r.Stat(ctx, g.Path)
	}
}
