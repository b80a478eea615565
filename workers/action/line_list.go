package action

// lineList is all idle lines, the oldest first.
type lineList struct {
	oldest, newest *line
	length         int
}

func (s *lineList) add(l *line) {
	l.older, l.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = l
	} else {
		s.oldest = l
	}
	s.newest = l
	s.length++
}

func (s *lineList) remove(l *line) {
	if l.older != nil {
		l.older.newer = l.newer
	} else {
		s.oldest = l.newer
	}
	if l.newer != nil {
		l.newer.older = l.older
	} else {
		s.newest = l.older
	}
	l.older, l.newer = nil, nil
	s.length--
}
